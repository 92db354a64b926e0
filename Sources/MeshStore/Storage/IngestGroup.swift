import MeshModel
import MeshTelemetry

/// The spans of some batches, sorted by trace: what one transaction writes.
struct IngestGroup {
    struct Chunk {
        /// Index into `origins`.
        var process: Int
        var anchor: TimeAnchor
        var records: [UInt8]
    }

    struct Trace {
        var id: TraceID
        var digest: TraceDigest
        var chunks: [Chunk]
    }

    private(set) var origins: [SpanOrigin] = []
    private(set) var traces: [Trace] = []
    private(set) var spans = 0
    /// Records that no reader understands.
    private(set) var unreadable = 0
    /// Durations of answers by service, for comparisons.
    private(set) var answers: [(service: String, duration: Timespan)] = []

    private var positions: [TraceID: Int] = [:]

    init(_ batches: [SpanBatch]) {
        for batch in batches { add(batch) }
        // Deterministic, and close to the order in which the rows will be read.
        traces.sort { $0.digest.started < $1.digest.started }
    }

    private mutating func add(_ batch: SpanBatch) {
        let process =
            origins.firstIndex(of: batch.origin)
            ?? {
                origins.append(batch.origin)
                return origins.count - 1
            }()
        batch.records.withUnsafeBytes { bytes in
            var cursor = SpanCursor(bytes)
            while true {
                guard let next = try? cursor.next() else { break }
                guard next.version == 1, next.kind != nil, add(next, process: process, of: batch) else {
                    unreadable += 1
                    continue
                }
                spans += 1
                if next.kind == .server || next.kind == .gateway { answers.append((batch.origin.service, next.duration)) }
            }
        }
    }

    /// False for a record that cannot be read.
    private mutating func add(_ view: SpanView, process: Int, of batch: SpanBatch) -> Bool {
        let id = view.traceID
        guard let position = positions[id] else {
            guard let digest = try? TraceDigest(view, origin: batch.origin, anchor: batch.anchor) else { return false }
            positions[id] = traces.count
            traces.append(
                Trace(id: id, digest: digest, chunks: [Chunk(process: process, anchor: batch.anchor, records: Array(view.bytes))]))
            return true
        }
        do { try traces[position].digest.add(view, origin: batch.origin, anchor: batch.anchor) } catch { return false }
        let last = traces[position].chunks.count - 1
        if traces[position].chunks[last].process == process, traces[position].chunks[last].anchor == batch.anchor {
            traces[position].chunks[last].records.append(contentsOf: view.bytes)
        } else {
            traces[position].chunks.append(Chunk(process: process, anchor: batch.anchor, records: Array(view.bytes)))
        }
        return true
    }
}
