import Foundation
import MeshModel
import MeshStore
import MeshTelemetry

/// A process of a story, which records spans at the times it is told.
struct StoryProcess {
    let origin: SpanOrigin
    let anchor: TimeAnchor

    init(_ service: String, _ tier: String, instance: UInt64 = 1, version: String? = nil, clock: UInt64 = 0) {
        origin = SpanOrigin(
            instance: InstanceID(high: UInt64(service.utf8.reduce(7) { $0 &* 31 &+ Int($1) }), low: instance), service: service, tier: tier,
            version: version, clock: clock)
        anchor = Story.anchor
    }
}

/// The spans of one trace, told in milliseconds since its start.
struct Story {
    /// Midday of 2026-11-21, on the hour.
    static let noon = UnixTime(nanoseconds: 1_795_262_400_000_000_000)
    static let anchor = TimeAnchor(instant: Instant(nanoseconds: 5_000_000_000_000), wall: noon)

    static let gateway = StoryProcess("gateway", "edge")
    static let orders = StoryProcess("orders", "domain")
    static let inventory = StoryProcess("inventory", "enterprise")
    static let ledger = StoryProcess("ledger", "enterprise")

    let id: TraceID
    /// When the trace begins, in milliseconds after noon.
    var begin: Int64 = 0
    private(set) var batches: [SpanBatch] = []

    init(_ id: UInt64, begin: Int64 = 0) {
        self.id = TraceID(high: id, low: 1)
        self.begin = begin
    }

    init(id: String, begin: Int64 = 0) {
        self.id = TraceID(id) ?? TraceID(high: 1, low: 1)
        self.begin = begin
    }

    /// Times in milliseconds; each span is a batch of its own.
    mutating func add(
        _ process: StoryProcess, _ kind: SpanKind, _ span: UInt64, under parent: UInt64?, _ from: Double, _ to: Double,
        status: SpanStatus = .ok, _ items: (inout SpanWriter) -> Void = { _ in }
    ) {
        let start = Story.anchor.instant + .milliseconds(begin)
        let header = SpanHeader(
            kind: kind, traceID: id, spanID: SpanID(span), parent: parent.map { SpanID($0) },
            start: start + .microseconds(Int64(from * 1_000)),
            end: start + .microseconds(Int64(to * 1_000)), status: status)
        guard let ring = try? SpanRing(capacity: 16_384) else { preconditionFailure("no shared memory") }
        SpanRecorder(ring: ring).record(header, items)
        var bytes: [UInt8] = []
        var reader = SpanRingReader(ring)
        let count = reader.drain(into: &bytes)
        batches.append(SpanBatch(origin: process.origin, anchor: process.anchor, dropped: 0, count: count, records: bytes))
    }

    var spans: [DecodedSpan] { batches.flatMap { (try? $0.decoded().spans) ?? [] } }
    var analysis: TraceAnalysis { TraceAnalysis(TraceTree(spans)) }

    /// Gateway and one service: `GET /catalog` in `duration` milliseconds.
    static func short(_ id: UInt64, begin: Int64 = 0, duration: Double = 10, status: Int = 200, name: String = "GET /catalog") -> Story {
        var story = Story(id, begin: begin)
        story.add(gateway, .gateway, 1, under: nil, 0, duration, status: status >= 500 ? .error : .ok) { span in
            span.name(name)
            span.add(.httpResponseStatusCode, status)
        }
        return story
    }

    /// `POST /orders` as cli.md draws it: 362 ms, one retry towards inventory.
    static func order(_ id: UInt64 = 0x8f3a_c100_0000_0000, begin: Int64 = 0) -> Story {
        var story = Story(id, begin: begin)
        story.add(gateway, .gateway, 1, under: nil, 0, 362) { span in
            span.name("POST /orders/**")
            span.add(.httpResponseStatusCode, 201)
        }
        story.call(gateway, to: orders, 2, under: 1, 1, 361)
        story.attempt(gateway, to: orders, 3, under: 2, 1, 361, number: 1, status: 201)
        story.add(orders, .server, 4, under: 3, 5, 357) { $0.name("POST /orders") }
        story.call(orders, to: inventory, 5, under: 4, 10, 94)
        story.attempt(orders, to: inventory, 6, under: 5, 10, 70, number: 1, status: 503, retried: true)
        story.add(inventory, .server, 7, under: 6, 11, 70, status: .error) { span in
            span.name("POST /reservations")
            span.add(.httpResponseStatusCode, 503)
        }
        story.add(orders, .backoff, 8, under: 5, 70, 85) { $0.add(.destination, "inventory") }
        story.attempt(orders, to: inventory, 9, under: 5, 85, 94, number: 2, status: 201)
        story.add(inventory, .server, 10, under: 9, 86, 93) { $0.name("POST /reservations") }
        story.call(orders, to: ledger, 11, under: 4, 100, 341)
        story.attempt(orders, to: ledger, 12, under: 11, 100, 341, number: 1, status: 201)
        story.add(ledger, .server, 13, under: 12, 101, 340) { $0.name("POST /payments") }
        return story
    }

    mutating func call(
        _ from: StoryProcess, to: StoryProcess, _ span: UInt64, under parent: UInt64, _ start: Double, _ end: Double,
        status: SpanStatus = .ok
    ) {
        add(from, .call, span, under: parent, start, end, status: status) { $0.add(.destination, to.origin.service) }
    }

    mutating func attempt(
        _ from: StoryProcess, to: StoryProcess, _ span: UInt64, under parent: UInt64, _ start: Double, _ end: Double, number: Int,
        status: Int?, flag: ResponseFlag? = nil, retried: Bool = false
    ) {
        let failed = flag != nil || (status ?? 0) >= 500
        add(from, .attempt, span, under: parent, start, end, status: failed ? .error : .ok) { writer in
            writer.add(.destination, to.origin.service)
            writer.add(.destinationTier, to.origin.tier)
            writer.add(.attempt, number)
            if let status { writer.add(.httpResponseStatusCode, status) }
            if let flag { writer.add(flag) }
            if retried { writer.add(.retried, true) }
        }
    }
}

/// A folder that is gone after the test.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        path = FileManager.default.temporaryDirectory.path + "/mesh-store-\(UUID().uuidString)"
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var files: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }
}
