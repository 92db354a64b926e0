package import MeshTelemetry

/// The forms in which a trace is handed to other tools.
package enum TraceFormat: String, CaseIterable, Sendable {
    /// OTLP's JSON encoding: an `ExportTraceServiceRequest`.
    case otlp
    /// What Jaeger's UI takes as a file, and answers from its API.
    case jaeger
    /// Zipkin's v2 list of spans.
    case zipkin
    /// Trace Event Format, for chrome://tracing and Perfetto.
    case chrome

    /// - Parameter traces: the spans of each.
    package func encode(_ traces: [[DecodedSpan]]) -> [UInt8] {
        switch self {
        case .otlp: OTLPJSON.encode(traces.flatMap { $0 })
        case .jaeger: JaegerJSON.encode(traces)
        case .zipkin: ZipkinJSON.encode(traces.flatMap { $0 })
        case .chrome: ChromeJSON.encode(traces.flatMap { $0 })
        }
    }
}

extension DecodedSpan {
    /// OpenTelemetry's kind.
    var direction: String {
        switch kind {
        case .gateway, .server: "server"
        case .call, .attempt: "client"
        case .backoff, .queue, .rejection, .internal: "internal"
        }
    }

    /// What other tools have no field for.
    var meshTags: [(String, AttributeValue)] {
        [("mesh.kind", .string(kind == .gateway ? "gateway" : kind.name)), ("mesh.tier", .string(origin.tier))]
    }
}

/// Spans by the process that recorded them, in the order in which those come up.
struct ByProcess {
    private(set) var processes: [(origin: SpanOrigin, spans: [DecodedSpan])] = []

    init(_ spans: [DecodedSpan]) {
        var positions: [SpanOrigin: Int] = [:]
        for span in spans {
            if let position = positions[span.origin] {
                processes[position].spans.append(span)
            } else {
                positions[span.origin] = processes.count
                processes.append((span.origin, [span]))
            }
        }
    }
}
