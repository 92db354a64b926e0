import MeshModel
package import MeshTelemetry

/// Spans that were read from elsewhere, as batches that the store takes in.
package enum SpanImport {
    /// One batch for each process. The times are wall times, so that the clocks read the same.
    package static func batches(_ spans: [DecodedSpan]) -> [SpanBatch] {
        ByProcess(spans).processes.map { origin, spans in
            var origin = origin
            // Its monotonic times are lost, so that it must not be taken for a clock whose times are known.
            if origin.clock != 0 { origin.clock ^= 1 << 63 }
            var records: [UInt8] = []
            let scratch = SpanScratch()
            for span in spans {
                records += scratch.record(
                    SpanHeader(
                        kind: span.kind, traceID: span.traceID, spanID: span.spanID, parent: span.parent,
                        start: Instant(nanoseconds: span.start.nanoseconds),
                        end: Instant(nanoseconds: span.end.nanoseconds), status: span.status)
                ) { writer in
                    writer.name(span.name)
                    for attribute in span.attributes { writer.add(attribute) }
                    for event in span.events {
                        writer.event(
                            event.name, after: .nanoseconds(event.time.nanoseconds &- span.start.nanoseconds),
                            event.attributes.map { ($0.name, $0.value) })
                    }
                    for link in span.links { writer.link(link.traceID, link.spanID) }
                }
            }
            let now = Instant(nanoseconds: spans.map(\.start.nanoseconds).min() ?? 0)
            return SpanBatch(
                origin: origin, anchor: TimeAnchor(instant: now, wall: UnixTime(nanoseconds: now.nanoseconds)), dropped: 0,
                count: spans.count,
                records: records)
        }
    }
}

extension SpanWriter {
    /// A flag is written as one, so that `flag:UT` finds it.
    fileprivate mutating func add(_ attribute: DecodedSpan.Attribute) {
        if attribute.name == AttributeKey.flag.name,
            let flag = ResponseFlag.allCases.first(where: { $0.code == attribute.value.description })
        {
            add(flag)
        } else {
            add(attribute.name, attribute.value)
        }
    }
}
