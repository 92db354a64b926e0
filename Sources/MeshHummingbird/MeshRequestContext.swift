public import Hummingbird
public import MeshSidecar

/// What a route of a service in the mesh gets beside its request: the way to other services, and who is asking.
///
///     let router = Router(context: MeshRequestContext.self)
///     router.get("/orders/:id") { request, context -> Order in
///         let id = try context.parameters.require("id")
///         async let payment = context.mesh.call(.ledger, .get, "/payments/\(id)").json(as: Payment.self)
///         …
///     }
///
/// A context of your own needs `MeshRequestContextSource` as its `Source`.
public struct MeshRequestContext: RequestContext {
    public typealias Source = MeshRequestContextSource

    public var coreContext: CoreRequestContextStorage
    /// The way to other services; deadline and trace of this request go with every call.
    public let mesh: Mesh
    /// The request as the mesh knows it: caller, remaining time, trace id.
    public let request: MeshRequest

    public init(source: MeshRequestContextSource) {
        coreContext = .init(source: source)
        mesh = source.mesh
        request = source.request
    }

    public var requestDecoder: MeshRequestDecoder { MeshRequestDecoder() }
    public var responseEncoder: MeshResponseEncoder { MeshResponseEncoder() }
}

/// Of what contexts are made.
public struct MeshRequestContextSource: RequestContextSource {
    public let logger: Logger
    public let mesh: Mesh
    public let request: MeshRequest
}

/// Reads bodies as JSON; what is wrong with one becomes a ``Problem`` that names the field.
public struct MeshRequestDecoder: RequestDecoder {
    public func decode<Value: Decodable>(_ type: Value.Type, from request: Request, context: some RequestContext) async throws -> Value {
        let buffer: ByteBuffer
        do {
            buffer = try await request.body.collect(upTo: context.maxUploadSize)
        } catch let error as any HTTPResponseError {
            throw Problem(error.status, detail: "the body is longer than \(context.maxUploadSize) bytes")
        }
        return try Problem.decoding(type, from: Array(buffer.readableBytesView))
    }
}

/// Writes answers as JSON, as the rest of the library does.
public struct MeshResponseEncoder: ResponseEncoder {
    public func encode(_ value: some Encodable, from request: Request, context: some RequestContext) throws -> Response {
        let bytes = try MeshJSON.encode(value)
        return Response(status: .ok, headers: [.contentType: "application/json"], body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}
