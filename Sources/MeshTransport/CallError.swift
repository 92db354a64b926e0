package import MeshExchange
package import MeshModel

/// Why a call that code of this process made has no answer.
package enum CallError: Error, CustomStringConvertible {
    /// The snapshot has no destination of this name: `calls:` in mesh.yaml does not list it.
    case unknownService(String)
    /// What the caller handed over makes no valid HTTP request.
    case invalidRequest(String)
    /// The mesh's own verdict: attempts, budget or time ran out, or nobody was there.
    case failed(service: String, failure: CallFailure, traceID: TraceID)

    package var failure: CallFailure? { if case .failed(_, let failure, _) = self { failure } else { nil } }

    package var description: String {
        switch self {
        case .unknownService(let service): "service '\(service)' is not among the calls of this one: add it to `calls:` in mesh.yaml"
        case .invalidRequest(let reason): "invalid request: \(reason)"
        case .failed(let service, let failure, let traceID):
            "\(service): \(failure.cause) (\(failure.flag.code)); see: mesh traces show \(traceID)"
        }
    }
}
