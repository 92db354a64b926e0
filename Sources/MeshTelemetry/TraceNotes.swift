package import MeshModel
import Synchronization

/// What went wrong below one request, noted by whichever task meets it, and read when the request is answered.
package final class TraceNotes: Sendable {
    private let bits = Atomic<UInt8>(0)

    package init() {}

    package func add(_ trouble: TraceTrouble) { bits.bitwiseOr(trouble.rawValue, ordering: .relaxed) }

    package var trouble: TraceTrouble { TraceTrouble(rawValue: bits.load(ordering: .relaxed)) }
}

/// What a request carries through code that knows nothing of it: W3C `tracestate` and `baggage`, as they came.
package struct PropagatedFields: Hashable, Sendable {
    package var tracestate: String?
    package var baggage: String?

    package init(tracestate: String? = nil, baggage: String? = nil) {
        self.tracestate = tracestate
        self.baggage = baggage
    }
}
