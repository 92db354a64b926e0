import MeshModel
import MeshTelemetry

/// What the daemon would read of a process, spans of all its rings in the order of their rings.
final class RecordedSpans: Sendable {
    private let source: SpanSource?
    private let state = Guarded<[DecodedSpan]>([])

    init(_ pipeline: TelemetryPipeline) { source = try? pipeline.makeSource() }

    /// All that was recorded until now.
    var all: [DecodedSpan] {
        state.withLock { spans in
            guard let source else { return [] }
            var records: [UInt8] = []
            let count = source.drain(into: &records)
            let batch = SpanBatch(origin: source.origin, anchor: .capture(), dropped: 0, count: count, records: records)
            spans += (try? batch.decoded().spans) ?? []
            return spans
        }
    }
}
