import Foundation
import MeshAdminAPI
import MeshConfiguration
import MeshModel
import MeshStore
import MeshTelemetry

/// What the daemon knows of traces, in the words of the admin API.
struct TraceAnswers: Sendable {
    let collector: SpanCollector
    let listener: OTLPListener
    let exporter: OTLPExporter
    let intake: TraceIntake

    var store: TraceStore { intake.store }

    /// Does from now on what mesh.yaml says of traces.
    func follow(_ traces: MeshDocument.Traces) {
        collector.setKeeping(traces.keeping)
        listener.follow(traces.otlpListen)
        exporter.follow(traces.exports)
    }

    /// What is on its way, on disk.
    private func catchUp() {
        collector.turn()
        intake.flush()
    }

    /// The most traces that one list may have.
    static let longestList = 10_000

    func list(matching text: String, limit: Int, since: UnixTime?) async throws -> [TraceSummary] {
        let query: TraceQuery
        do {
            query = try text.isEmpty ? .all : TraceQuery(text)
        } catch {
            throw Problem(
                type: "trace-query", title: "the query can't be read", status: 400, detail: error.description,
                hint: "mesh traces list --help")
        }
        return await blocking {
            catchUp()
            return store.list(query, since: since, limit: min(limit, Self.longestList)).traces.map(TraceSummary.init)
        }
    }

    func show(_ reference: String) async throws -> TraceDetail {
        let found = await blocking {
            catchUp()
            return Result { () throws(TraceLookupError) in try store.show(reference) }
        }
        do {
            return TraceDetail(try found.get())
        } catch {
            throw Problem(
                type: "trace-lookup", title: "no such trace", status: error.httpStatus, detail: error.description, hint: "mesh traces list")
        }
    }

    /// Reading blocks on the disk, so it leaves the threads of the daemon's tasks alone.
    private func blocking<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: work()) }
        }
    }
}

extension TraceLookupError {
    fileprivate var httpStatus: Int {
        switch self {
        case .notAnID: 400
        case .notFound, .empty: 404
        case .ambiguous: 409
        }
    }
}

extension TraceSummary {
    init(_ stored: StoredTraceSummary) {
        self.init(
            traceID: stored.traceID.description, startedAt: Timestamp(stored.started), route: stored.route, status: stored.status,
            durationMS: stored.duration.seconds * 1000, services: stored.services, attempts: stored.attempts, flags: stored.flags,
            tiers: stored.tiers.map { TierShare(tier: $0.tier, share: $0.share) }, note: stored.note)
    }
}

extension TraceDetail {
    init(_ stored: StoredTrace) {
        self.init(
            traceID: stored.traceID.description,
            spans: stored.nodes.indices.map { TraceSpan(stored.nodes[$0].span, selfTime: stored.analysis.tree.selfTime(of: $0)) },
            comparison: MeshAdminAPI.TraceComparison(
                slowerThanPercent: stored.comparison.slowerThan.map { $0 * 100 },
                services: stored.comparison.services.mapValues { $0 * 100 }),
            why: stored.why, complete: stored.analysis.isComplete, missing: stored.analysis.missing.count)
    }
}

extension TraceSpan {
    init(_ span: DecodedSpan, selfTime: Timespan) {
        self.init(
            spanID: span.spanID.description, parentSpanID: span.parent?.description, service: span.origin.service, tier: span.origin.tier,
            instance: span.origin.instance.description, kind: Kind(span.kind), name: span.name, startUnixNano: span.start.nanoseconds,
            durationNS: span.duration.nanoseconds, selfNS: selfTime.nanoseconds, status: span.status.name,
            attributes: Self.attributes(span.attributes),
            events: span.events.map {
                Event(name: $0.name, timeUnixNano: $0.time.nanoseconds, attributes: Self.attributes($0.attributes))
            })
    }

    private static func attributes(_ attributes: [DecodedSpan.Attribute]) -> [String: MeshAdminAPI.AttributeValue] {
        Dictionary(attributes.map { ($0.name, MeshAdminAPI.AttributeValue($0.value)) }, uniquingKeysWith: { $1 })
    }
}

extension TraceSpan.Kind {
    /// The gateway's span is a server's: which of the two says the span's service.
    init(_ kind: SpanKind) { self = kind == .gateway ? .server : TraceSpan.Kind(rawValue: kind.name) }
}

extension MeshAdminAPI.AttributeValue {
    init(_ value: MeshTelemetry.AttributeValue) {
        self =
            switch value {
            case .string(let text): .string(text)
            case .integer(let number): .integer(number)
            case .double(let number): .double(number)
            case .bool(let flag): .boolean(flag)
            case .array(let elements): .strings(elements.map(\.description))
            }
    }
}
