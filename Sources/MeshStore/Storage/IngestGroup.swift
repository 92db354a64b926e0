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
                guard next.version == 1, let digest = try? TraceDigest(next, origin: batch.origin, anchor: batch.anchor) else {
                    unreadable += 1
                    continue
                }
                spans += 1
                if next.kind == .server || next.kind == .gateway { answers.append((batch.origin.service, next.duration)) }
                add(next, digest, process: process, anchor: batch.anchor)
            }
        }
    }

    private mutating func add(_ view: SpanView, _ digest: TraceDigest, process: Int, anchor: TimeAnchor) {
        let id = view.traceID
        guard let position = positions[id] else {
            positions[id] = traces.count
            traces.append(Trace(id: id, digest: digest, chunks: [Chunk(process: process, anchor: anchor, records: Array(view.bytes))]))
            return
        }
        traces[position].digest.merge(digest)
        if let last = traces[position].chunks.last, last.process == process, last.anchor == anchor {
            let end = traces[position].chunks.count - 1
            traces[position].chunks[end].records.append(contentsOf: view.bytes)
        } else {
            traces[position].chunks.append(Chunk(process: process, anchor: anchor, records: Array(view.bytes)))
        }
    }
}
