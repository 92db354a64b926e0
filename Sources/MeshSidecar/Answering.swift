import HTTPTypes
import Logging
import MeshExchange
import MeshModel
import MeshTelemetry
import MeshTransport

/// What a service's author wrote.
typealias Handler = @Sendable (MeshRequest) async throws -> MeshResponse

/// Turns a handler into one that always answers: errors become problems, and every answer follows the rules of the mesh.
struct Answering: Sendable {
    let handler: Handler
    /// False once this service drains: the answer to a probe that the author does not answer.
    let isReady: @Sendable () -> Bool
    let logger: Logger

    func callAsFunction(_ inbound: InboundRequest) async -> OutboundResponse {
        let context = RequestContext(
            deadline: inbound.context.deadline, trace: inbound.context.trace, caller: inbound.context.callerService,
            peer: inbound.context.peer, notes: inbound.context.notes, propagated: inbound.context.propagated)
        let scope = RequestScope(
            requestID: inbound.context.requestID, credit: inbound.context.credit, criticality: inbound.context.criticality)
        return await context.run {
            await RequestScope.$current.withValue(scope) {
                var response = await answer(MeshRequest(inbound))
                if response.status.code >= 500, scope.forbidsRetry { response.headerFields[.meshRetry] = "no" }
                response.body = response.body.running(in: context, scope)
                response.route = response.route ?? scope.route
                return response.outbound
            }
        }
    }

    private func answer(_ request: MeshRequest) async -> MeshResponse {
        do {
            let response = try await handler(request)
            return response.status == .notFound ? healthAnswer(to: request) ?? response : response
        } catch let problem as Problem where problem.status == .notFound {
            return healthAnswer(to: request) ?? problem.response(traceID: request.traceID)
        } catch {
            return Self.problem(for: error, request: request, logger: logger).response(traceID: request.traceID)
        }
    }

    /// The author's own answer to the probe comes first; this one stands in where there is none.
    private func healthAnswer(to request: MeshRequest) -> MeshResponse? {
        guard request.path == Sidecar.healthPath, request.method == .get || request.method == .head else { return nil }
        return isReady() ? .text("ok\n") : .text("draining\n", status: .serviceUnavailable)
    }

    /// What the caller is told about an error that left the handler: nothing from inside, unless it is a `Problem`.
    static func problem(for error: any Error, request: MeshRequest, logger: Logger) -> Problem {
        switch error {
        case let problem as Problem: return problem
        case let error as CallError:
            logger.warning("answered \(error.status.code)", metadata: ["reason": "\(error)"])
            return Problem(error.status, detail: "\(error.service) gave no answer in time or could not be reached")
        case let error as UnexpectedStatus:
            logger.warning("answered 502", metadata: ["reason": "\(error)"])
            return Problem(.badGateway, detail: "\(error.service) answered \(error.status.code)")
        case let error as UnreadableAnswer:
            logger.error("answered 502", metadata: ["reason": "\(error)"])
            return Problem(.badGateway, detail: "the answer of \(error.service) can't be read")
        case is CancellationError:
            return Problem(.serviceUnavailable, detail: "the request was cancelled")
        default:
            logger.error(
                "answered 500: unexpected error in the handler",
                metadata: ["error": "\(error)", "method": "\(request.method)", "path": "\(request.path)"])
            return Problem(.internalServerError, detail: "an unexpected error; the log has it under the trace id")
        }
    }
}

extension OutgoingBody {
    /// A streamed body is written after the handler returned; calls made while it is written belong to the request all the same.
    func running(in context: RequestContext, _ scope: RequestScope) -> OutgoingBody {
        guard case .stream(let length, let write) = storage else { return self }
        return .stream(length: length) { writer in
            try await context.run { try await RequestScope.$current.withValue(scope) { try await write(writer) } }
        }
    }
}
