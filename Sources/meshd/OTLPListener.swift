import Foundation
import HTTPTypes
import Hummingbird
import Logging
import MeshModel
import MeshOTLP
import MeshTelemetry
import NIOCore

/// Takes in spans of other programs over OTLP/HTTP, where `traces.otlp_listen` says.
///
/// Invariant: at most one server runs; what it can't take is answered so that the sender tries again.
final class OTLPListener: Sendable {
    private struct State {
        var wanted: MeshModel.SocketAddress?
        var task: Task<Void, Never>?
        var bound: String?
        var problem: String?
    }

    /// Bytes of a body, and of one that was inflated.
    private static let longestBody = 8 << 20
    private static let longestInflated = 64 << 20

    private let collector: SpanCollector
    private let logger: Logger
    private let state = Guarded(State())

    init(collector: SpanCollector, logger: Logger) {
        self.collector = collector
        self.logger = logger
    }

    /// Where it listens; nil where it does not.
    var address: String? { state.withLock { $0.bound } }
    /// Why it does not listen although it should.
    var problem: String? { state.withLock { $0.problem } }

    /// Listens there from now on; nil ends it.
    func follow(_ address: MeshModel.SocketAddress?) {
        state.withLock { state in
            guard state.wanted != address else { return }
            state.wanted = address
            let previous = state.task
            previous?.cancel()
            state.task = Task { [self] in
                await previous?.value
                note(bound: nil, problem: nil)
                if let address, !Task.isCancelled { await serve(at: address) }
            }
        }
    }

    func shutdown() async {
        follow(nil)
        await state.withLock { $0.task }?.value
    }

    private func note(bound: String?, problem: String?) {
        state.withLock { state in
            state.bound = bound
            state.problem = problem
        }
    }

    private func serve(at address: MeshModel.SocketAddress) async {
        guard case .tcp(let host, let port) = address else { return }
        let application = Application(
            router: routes(), configuration: ApplicationConfiguration(address: .hostname(host, port: port), serverName: "meshd"),
            onServerRunning: { [self] channel in
                let bound = "\(host):\(channel.localAddress?.port ?? port)"
                note(bound: bound, problem: nil)
                logger.info("takes OTLP/HTTP at \(bound)")
            },
            logger: logger)
        do {
            try await application.run()
        } catch {
            guard !Task.isCancelled else { return }
            note(bound: nil, problem: "can't take OTLP at \(address): \(error)")
            logger.error("can't take OTLP at \(address): \(error)")
        }
    }

    private func routes() -> Router<BasicRequestContext> {
        let router = Router()
        router.post("/v1/traces") { [self] request, _ in try await take(request) }
        return router
    }

    private func take(_ request: Request) async throws -> Response {
        guard let form = request.headers[.contentType].flatMap(OTLPForm.init(contentType:)) else {
            throw HTTPError(.unsupportedMediaType, message: "OTLP comes as application/x-protobuf or application/json")
        }
        var body = Array(try await request.body.collect(upTo: Self.longestBody).readableBytesView)
        switch request.headers[.contentEncoding]?.lowercased() {
        case nil, "identity": break
        case "gzip":
            do { body = try Inflation.gunzip(body, limit: Self.longestInflated) } catch {
                throw HTTPError(error == .damaged ? .badRequest : .contentTooLarge, message: error.description)
            }
        default: throw HTTPError(.unsupportedMediaType, message: "bodies may be compressed by gzip")
        }
        let message: OTLPExportTraceServiceRequest
        do { message = try OTLPExportTraceServiceRequest(body, form: form) } catch {
            throw HTTPError(.badRequest, message: "the body can't be read as OTLP: \(error)")
        }
        let (batches, rejected, reason) = message.batches(anchor: .capture())
        for batch in batches where !collector.take(batch, isForeign: true) {
            // None of the batch was taken; those before it come twice, which a store tells by their ids.
            return Response(status: .serviceUnavailable, headers: [.retryAfter: "1"])
        }
        let answer = OTLPExportTraceServiceResponse(rejected: rejected, reason: reason)
        return Response(
            status: .ok, headers: [.contentType: form.rawValue], body: ResponseBody(byteBuffer: ByteBuffer(bytes: answer.serialized(form))))
    }
}
