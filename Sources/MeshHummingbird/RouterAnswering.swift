public import Hummingbird
public import MeshSidecar
import NIOCore

extension Sidecar {
    /// Answers requests by a router of Hummingbird.
    ///
    ///     let router = Router(context: MeshRequestContext.self)
    ///     router.get("/catalog/:sku") { request, context in … }
    ///     sidecar.serve(router)
    ///
    /// Errors become problems: a ``Problem`` as it is, Hummingbird's `HTTPError` by its status and message, everything else as
    /// ``serve(_:)`` says.
    public func serve<Context: RequestContext>(_ router: Router<Context>) where Context.Source == MeshRequestContextSource {
        serve(responder: router.buildResponder())
    }

    /// Answers requests by a responder of Hummingbird.
    public func serve<Responder: HTTPResponder>(responder: Responder)
    where Responder.Context: RequestContext, Responder.Context.Source == MeshRequestContextSource {
        let (mesh, logger) = (mesh, logger)
        serve { request in
            let context = Responder.Context(source: MeshRequestContextSource(logger: logger, mesh: mesh, request: request))
            // The storage is shared with the context that the route gets, and Hummingbird's name for no route is no route.
            defer {
                if let route = context.coreContext.endpointPath.value, route.hasPrefix("/") { request.isAnswered(byRoute: route) }
            }
            let response = try await responder.respond(to: Request(request), context: context)
            return try await MeshResponse(response, toHead: request.method == .head)
        }
    }

    /// Runs a service that is a router: the whole of its `main.swift`.
    ///
    ///     let router = Router(context: MeshRequestContext.self)
    ///     router.get("/hello") { _, _ in "hello" }
    ///     await Sidecar.run(router: router)
    ///
    /// What goes wrong at the start is written to standard error as one line, and the process ends with status 1.
    public static func run<Context: RequestContext>(router: Router<Context>) async where Context.Source == MeshRequestContextSource {
        let responder = router.buildResponder()
        await program { $0.serve(responder: responder) }
    }
}

extension Request {
    /// The same request in Hummingbird's terms; its body still streams.
    init(_ request: MeshRequest) {
        self.init(
            head: HTTPRequest(
                method: request.method, scheme: "http", authority: request.authority, path: request.target,
                headerFields: request.headerFields),
            body: RequestBody(asyncSequence: request.body.buffers))
    }
}

extension MeshResponse {
    /// Bodies up to this size are sent as a whole, which is cheaper than a stream.
    private static let shortBody = 64 << 10

    init(_ response: Response, toHead: Bool) async throws {
        let length = response.body.contentLength
        self.init(status: response.status, headerFields: response.headers)
        if let length, length <= Self.shortBody {
            let collector = BodyCollector()
            try await response.body.write(collector)
            body = collector.bytes.readableBytes == 0 ? .none : OutgoingBody(.bytes(collector.bytes))
        } else {
            body = .stream(length: length) { writer in try await response.body.write(StreamingBodyWriter(writer: writer)) }
        }
        // The length of what GET would answer is not that of this body.
        if !toHead { headerFields[.contentLength] = nil }
        if let problem = Problem(response, body: body) { throw problem }
    }
}

extension Problem {
    /// What Hummingbird's own errors say: no body at all, or `{"error": {"message": …}}`.
    private struct HummingbirdError: Decodable {
        struct Content: Decodable { var message: String }
        var error: Content
    }

    fileprivate init?(_ response: Response, body: OutgoingBody) {
        guard response.status.code >= 400 else { return nil }
        var fields = response.headers
        fields[.contentLength] = nil
        fields[.contentType] = nil
        switch body.storage {
        case .none where response.headers[.contentType] == nil:
            self.init(response.status, headerFields: fields)
        case .bytes(let bytes):
            guard let error = try? MeshJSON.decode(HummingbirdError.self, from: Array(bytes.readableBytesView)) else { return nil }
            self.init(response.status, detail: error.error.message, headerFields: fields)
        default: return nil
        }
    }
}

/// Keeps what is written.
private final class BodyCollector: ResponseBodyWriter {
    var bytes = ByteBuffer()

    func write(_ buffer: ByteBuffer) async throws {
        var buffer = buffer
        if bytes.readableBytes == 0 { bytes = buffer } else { bytes.writeBuffer(&buffer) }
    }

    func finish(_ trailingHeaders: HTTPFields?) async throws {}
}

/// Passes on what is written.
private struct StreamingBodyWriter: ResponseBodyWriter {
    let writer: OutgoingBodyWriter

    func write(_ buffer: ByteBuffer) async throws { try await writer.write(buffer) }

    func finish(_ trailingHeaders: HTTPFields?) async throws {
        if let trailingHeaders { writer.setTrailers(trailingHeaders) }
    }
}
