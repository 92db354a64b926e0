package import MeshModel

/// The spans of one process, as another one reads them from shared memory.
package final class SpanSource: @unchecked Sendable {
    package let origin: SpanOrigin
    private var readers: [SpanRingReader]

    init(origin: SpanOrigin, segment: SpanSegment) {
        self.origin = origin
        readers = (0..<segment.rings).map { SpanRingReader(segment, $0) }
    }

    /// Takes over the descriptor of memory that another process made.
    convenience init(origin: SpanOrigin, mapping descriptor: Int32) throws(SpanSegmentError) {
        self.init(origin: origin, segment: try SpanSegment(mapping: descriptor))
    }

    /// What was found, beside records.
    package struct Losses: Hashable, Sendable {
        /// Spans that found no room in their ring.
        package var dropped: UInt64 = 0
        /// Rings whose two ends contradict each other: nothing more is read there.
        package var brokenRings = 0
        package var damagedBytes = 0
    }

    /// Appends all whole records that have come since the last time, and says how many.
    @discardableResult
    package func drain(into bytes: inout [UInt8]) -> Int { readers.indices.reduce(0) { $0 + readers[$1].drain(into: &bytes) } }

    /// What was lost since the last time.
    package func newLosses() -> Losses {
        var losses = Losses()
        for index in readers.indices {
            losses.dropped += readers[index].newDrops()
            if readers[index].isBroken { losses.brokenRings += 1 }
            losses.damagedBytes += readers[index].damagedBytes
        }
        return losses
    }

    /// Requests that the process works on now.
    package var openSpans: Int { readers.reduce(0) { $0 + $1.openSpans().count } }

    /// Appends a record for each span that was open when the process ended: all that is known of it, until `end`, as an error.
    package func recordOpenSpans(end: Instant, into bytes: inout [UInt8]) -> Int {
        let open = readers.flatMap { $0.openSpans() }
        let scratch = SpanScratch()
        for span in open {
            let isRoot = span.parent == nil || span.kind == .gateway
            let header = SpanHeader(
                kind: span.kind, traceID: span.traceID, spanID: span.spanID, parent: span.parent, start: min(span.start, end), end: end,
                status: .error, decision: isRoot ? .error : nil)
            bytes += scratch.record(header) { record in
                record.name(span.name)
                record.add(.errorType, "process_ended")
                record.add(.cause, "the process ended before the request did")
            }
        }
        return open.count
    }
}
