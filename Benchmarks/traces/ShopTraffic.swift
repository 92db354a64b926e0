import MeshModel
import MeshTelemetry

/// Makes the spans of a shop's requests, as gateway and sidecars record them: routes, retries, slow ledgers, all by a seed.
struct ShopTraffic {
    private struct Service {
        var origin: SpanOrigin
        var anchor: TimeAnchor
        let scratch = SpanScratch()
        var records: [UInt8] = []
        var count = 0

        init(_ name: String, _ tier: String, _ number: UInt64, anchor: TimeAnchor) {
            origin = SpanOrigin(
                instance: InstanceID(high: 0x5_0000 + number, low: 0x8000_0000_0000_0000 + number), service: name, tier: tier, clock: 77)
            self.anchor = anchor
        }
    }

    private var services: [Service]
    private var random: RandomSource
    private var now: Instant
    private(set) var traces = 0
    private(set) var spans = 0
    /// Between the begins of two traces.
    private let gap: Timespan

    private enum Name: Int { case gateway, orders, catalog, inventory, ledger, crm }

    init(seed: UInt64, start: UnixTime, gap: Timespan) {
        let anchor = TimeAnchor(instant: Instant(nanoseconds: 90_000_000_000_000), wall: start)
        services = [
            Service("gateway", "edge", 1, anchor: anchor), Service("orders", "domain", 2, anchor: anchor),
            Service("catalog", "domain", 3, anchor: anchor), Service("inventory", "enterprise", 4, anchor: anchor),
            Service("ledger", "enterprise", 5, anchor: anchor), Service("crm", "enterprise", 6, anchor: anchor),
        ]
        random = RandomSource(seed: seed)
        now = anchor.instant
        self.gap = gap
    }

    /// When the next trace begins.
    var wall: UnixTime { services[0].anchor.wall(at: now) }

    /// The spans of the next traces, a batch for each process.
    mutating func batches(traces count: Int) -> [SpanBatch] {
        for _ in 0..<count {
            trace()
            now = now + gap
            traces += 1
        }
        return services.indices.compactMap { index in
            let (count, records) = (services[index].count, services[index].records)
            guard count > 0 else { return nil }
            spans += count
            services[index].count = 0
            services[index].records.removeAll(keepingCapacity: true)
            return SpanBatch(origin: services[index].origin, anchor: services[index].anchor, dropped: 0, count: count, records: records)
        }
    }

    // MARK: Traces

    private mutating func trace() {
        let id = TraceID.random(&random)
        let root = SpanID.random(&random)
        let kind = random.next(below: 10)
        let begin = now
        let (service, route, path): (Name, String, String) =
            kind < 5
            ? (.orders, "POST /orders/**", "/orders")
            : kind < 8 ? (.catalog, "GET /catalog/**", "/catalog") : (.orders, "GET /orders/**", "/orders/\(traces)")
        let end = call(
            .gateway, service, id, parent: root, at: begin + .microseconds(80 + Int64(random.next(below: 100))), route: path, status: 200)
        let status = kind < 5 ? 201 : 200
        record(.gateway, .gateway, id, root, nil, begin, end + .microseconds(60)) { span in
            span.name(route)
            span.add(.httpRoute, String(route.drop { $0 != " " }.dropFirst()))
            span.add(.httpRequestMethod, kind < 5 ? "POST" : "GET")
            span.add(.urlPath, path)
            span.add(.httpResponseStatusCode, status)
        }
    }

    /// One call with its attempts, and what the other side does; returns its end.
    private mutating func call(
        _ from: Name, _ to: Name, _ id: TraceID, parent: SpanID, at begin: Instant, route: String, status: Int
    ) -> Instant {
        let call = SpanID.random(&random)
        var at = begin
        let isRetried = to == .inventory && random.next(below: 33) == 0
        let tries = isRetried ? 2 : 1
        for number in 1...tries {
            let attempt = SpanID.random(&random)
            let fails = number < tries
            let end =
                serve(to, id, parent: attempt, at: at + .microseconds(150), route: route, status: fails ? 503 : status) + .microseconds(120)
            let destination = services[to.rawValue].origin
            record(from, .attempt, id, attempt, call, at, end, fails ? .error : .unset) { span in
                span.name(destination.service)
                span.add(.destination, destination.service)
                span.add(.attempt, number)
                span.add(.endpoint, destination.instance)
                span.add(.httpResponseStatusCode, fails ? 503 : status)
                if fails {
                    span.add(.retried, true)
                    span.add(.retryReason, "status")
                }
                span.add(.firstByteMicroseconds, (end - at).nanoseconds / 1_000)
            }
            at = end
            if fails {
                let pause = at + .milliseconds(5 + Int64(random.next(below: 20)))
                record(from, .backoff, id, .random(&random), call, at, pause) { span in
                    span.name("backoff")
                    span.add(.destination, destination.service)
                    span.add(.backoffMilliseconds, (pause - at).milliseconds)
                }
                at = pause
            }
        }
        let destination = services[to.rawValue].origin
        record(from, .call, id, call, parent, begin, at) { span in
            span.name(destination.service)
            span.add(.destination, destination.service)
            span.add(.destinationTier, destination.tier)
            span.add(.httpRequestMethod, "POST")
            span.add(.urlPath, route)
            span.add(.httpResponseStatusCode, status)
            span.add(.attempts, tries)
        }
        return at
    }

    private mutating func serve(_ service: Name, _ id: TraceID, parent: SpanID, at begin: Instant, route: String, status: Int) -> Instant {
        let server = SpanID.random(&random)
        var at = begin + work(1_000)
        switch service {
        case .orders where status < 500:
            at = call(.orders, .inventory, id, parent: server, at: at, route: "/reservations", status: 201) + work(500)
            at = call(.orders, .ledger, id, parent: server, at: at, route: "/payments", status: 201) + work(500)
            at = call(.orders, .crm, id, parent: server, at: at, route: "/customers/1", status: 200) + work(500)
        case .catalog where status < 500:
            at = call(.catalog, .inventory, id, parent: server, at: at, route: "/stock", status: 200) + work(300)
        case .ledger: at = at + (random.next(below: 50) == 0 ? .milliseconds(300) : .zero) + work(20_000)
        default: at = at + work(3_000)
        }
        record(service, .server, id, server, parent, begin, at, status >= 500 ? .error : .unset) { span in
            span.name("POST \(route)")
            span.add(.httpRoute, route)
            span.add(.httpRequestMethod, "POST")
            span.add(.urlPath, route)
            span.add(.caller, "orders")
            span.add(.httpResponseStatusCode, status)
        }
        return at
    }

    /// About so many microseconds, now and then much more.
    private mutating func work(_ typical: Int64) -> Timespan {
        let share = 0.5 + Double(random.next(below: 1_000)) / 1_000
        return .microseconds(Int64(Double(typical) * share * (random.next(below: 100) == 0 ? 4 : 1)))
    }

    private mutating func record(
        _ service: Name, _ kind: SpanKind, _ id: TraceID, _ span: SpanID, _ parent: SpanID?, _ start: Instant, _ end: Instant,
        _ status: SpanStatus = .unset, _ items: (inout SpanWriter) -> Void
    ) {
        services[service.rawValue].records += services[service.rawValue].scratch.record(
            SpanHeader(kind: kind, traceID: id, spanID: span, parent: parent, start: start, end: end, status: status), items)
        services[service.rawValue].count += 1
    }
}
