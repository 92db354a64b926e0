import MeshControlProtocol
import MeshModel
import MeshTelemetry

/// The daemon's collector of spans, beside a control socket.
final class CollectedSpans: Sendable {
    private let collector: SpanCollector
    private let spans: Received

    private final class Received: Sendable {
        let all = Guarded<[DecodedSpan]>([])
    }

    init(beside control: String) throws {
        let spans = Received()
        self.spans = spans
        collector = SpanCollector { batches in
            let new = batches.flatMap { (try? $0.decoded().spans) ?? [] }
            spans.all.withLock { $0 += new }
        }
        try collector.start(path: SpanSocket.path(beside: control))
    }

    deinit { collector.shutdown() }

    /// All spans, once there are so many.
    func all(atLeast count: Int) async -> [DecodedSpan] {
        while true {
            collector.turn()
            let all = spans.all.withLock { $0 }
            if all.count >= count || Task.isCancelled { return all }
            await Task.yield()
        }
    }
}
