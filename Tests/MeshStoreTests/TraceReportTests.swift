import Foundation
import MeshModel
import MeshStore
import MeshTelemetry
import TestSupport
import Testing

/// What is said of many traces.
@Suite("Trace reports", .calculating)
struct TraceReportTests {
    private let folder = TemporaryFolder()

    private func store(_ stories: [Story]) -> TraceStore {
        let store = TraceStore(folder: folder.path + "/traces")
        let outcome = store.ingest(
            stories.flatMap(\.batches), now: Instant(nanoseconds: 1), wall: UnixTime(nanoseconds: Story.noon.nanoseconds + 1_000_000_000))
        #expect(outcome == .stored(spans: stories.reduce(0) { $0 + $1.batches.count }))
        return store
    }

    /// An order of 40 ms, of which ledger takes 20; more, where it is slow.
    private static func order(_ number: UInt64, ledger slow: Double = 0, version: String? = nil, fault: Bool = false) -> Story {
        var story = Story(number, begin: Int64(number))
        let inventory = StoryProcess("inventory", "enterprise", version: version)
        let jitter = Double((number + number / 100) % 10) / 100
        let end = 40 + slow + jitter
        story.add(Story.gateway, .gateway, 1, under: nil, 0, end) { span in
            span.name("POST /orders/**")
            span.add(.httpResponseStatusCode, 201)
        }
        story.call(Story.gateway, to: Story.orders, 2, under: 1, 1, end - 1)
        story.attempt(Story.gateway, to: Story.orders, 3, under: 2, 1, end - 1, number: 1, status: 201)
        story.add(Story.orders, .server, 4, under: 3, 2, end - 2) { span in
            span.name("POST /orders")
            span.add("order_id", .integer(Int64(number)))
            span.add("region", .string(number % 3 == 0 ? "north" : "south"))
        }
        story.call(Story.orders, to: inventory, 5, under: 4, 5, 10)
        story.attempt(Story.orders, to: inventory, 6, under: 5, 5, 10, number: 1, status: 200)
        story.add(inventory, .server, 7, under: 6, 6, 9)
        story.call(Story.orders, to: Story.ledger, 8, under: 4, 12, 34 + slow)
        story.add(Story.orders, .attempt, 9, under: 8, 12, 34 + slow) { span in
            span.add(.destination, "ledger")
            span.add(.attempt, 1)
            span.add(.httpResponseStatusCode, 201)
            if fault { span.add(.fault, true) }
        }
        story.add(Story.ledger, .server, 10, under: 9, 13, 33 + slow) { $0.name("POST /payments") }
        return story
    }

    private static let orders = (1...1_000 as ClosedRange<UInt64>).map { number in
        order(number, ledger: number % 20 == 0 ? 300 : 0, version: number % 4 == 0 ? "v2" : "v1", fault: number % 20 == 0)
    }

    @Test func thePathOfSlowTracesNamesWhoIsSlow() throws {
        let report = store(Self.orders).path(.all)
        #expect(report.traces == 1_000)
        #expect(report.routes == 1)
        #expect(report.typical.traces == 100)
        #expect(report.slow.traces == 10)
        #expect(!report.isSampled && report.problems.isEmpty)
        let culprit = try #require(report.culprit)
        #expect(culprit.line.part == .service(tier: "enterprise", name: "ledger"))
        #expect(culprit.share > 0.99)
        #expect(
            report.lines.map(\.part) == [
                .service(tier: "edge", name: "gateway"), .service(tier: "domain", name: "orders"),
                .service(tier: "enterprise", name: "inventory"), .service(tier: "enterprise", name: "ledger"), .mesh,
            ])
        // Each nanosecond is in one line.
        for band in [(report.typical.mean, \PathComparison.Line.typical), (report.slow.mean, \.slow)] {
            let sum = report.lines.map { $0[keyPath: band.1] }.reduce(Timespan.zero, +)
            #expect(abs(sum.nanoseconds - band.0.nanoseconds) <= Int64(report.lines.count))
        }
        #expect(abs(report.lines[3].typical.seconds - 0.020) < 0.000_1)
        #expect(abs(report.lines[3].slow.seconds - 0.322) < 0.000_1)
    }

    /// A compensation that took three seconds, long after its order was answered.
    private static func compensation(_ number: UInt64) -> Story {
        var story = Story(0xc0_0000 + number, begin: Int64(number))
        story.add(Story.orders, .internal, 1, under: nil, 0, 3_000) { span in
            span.name("compensation")
            span.add(.detached, true)
            span.link(TraceID(high: 0, low: number), SpanID(4))
        }
        story.call(Story.orders, to: Story.ledger, 2, under: 1, 1, 2_999)
        story.attempt(Story.orders, to: Story.ledger, 3, under: 2, 1, 2_999, number: 1, status: 200)
        story.add(Story.ledger, .server, 4, under: 3, 2, 2_998) { $0.name("DELETE /payments") }
        return story
    }

    @Test func detachedWorkIsNoSlowRequest() throws {
        var partial = Story(0xd0_0000)
        partial.add(Story.ledger, .server, 2, under: 1, 0, 9_000) { $0.name("POST /payments") }
        let store = store(Array(Self.orders.prefix(200)) + (1...20 as ClosedRange<UInt64>).map { Self.compensation($0) } + [partial])
        let leftOut = LeftOutTraces(detached: 20, rootless: 1)

        let path = store.path(.all)
        #expect(path.traces == 200 && path.routes == 1 && path.leftOut == leftOut)
        #expect(path.slow.mean < .seconds(1))
        let statistics = store.statistics(.all, by: TraceGrouping(by: .route))
        #expect(statistics.groups.map(\.value) == ["POST /orders"] && statistics.leftOut == leftOut)
        #expect(store.compare(.all, with: nil).leftOut == leftOut)

        // Asked for by name, it counts; what has no root never does.
        let named = try TraceQuery("route:compensation or service:ledger")
        #expect(store.path(named).traces == 220)
        #expect(store.statistics(named, by: TraceGrouping(by: .route)).leftOut == LeftOutTraces(rootless: 1))
        #expect(store.list(try TraceQuery("route:compensation")).traces.first?.note == "detached")
        let shown = try store.show(try #require(store.list(try TraceQuery("route:compensation")).traces.first).traceID.description)
        #expect(shown.why.hasPrefix("detached work, begun in trace 0000000"))
    }

    /// Four files of an hour each; half an hour into the second is where `since` begins.
    @Test(arguments: [nil, 5_400] as [Int64?], [0.5, 0.9, 0.99])
    func aPercentileIsThatOfAllFiles(since seconds: Int64?, share: Double) throws {
        var random = RandomSource(seed: 7)
        let store = TraceStore(folder: folder.path + "/traces")
        var durations: [(id: UInt64, begin: Int64, route: String, duration: Double)] = []
        for hour in 0..<4 as Range<Int64> {
            let stories = (0..<150 as Range<UInt64>).map { number in
                let begin = hour * 3_600_000 + Int64(number) * 20_000
                let route = number % 3 == 0 ? "GET /catalog" : "POST /orders"
                let duration = Double(1 + random.next(below: hour == 2 ? 5_000 : 500))
                durations.append((UInt64(hour) * 1_000 + number + 1, begin, route, duration))
                return Story.short(durations[durations.count - 1].id, begin: begin, duration: duration, name: route)
            }
            let wall = UnixTime(nanoseconds: Story.noon.nanoseconds + (hour * 3_600 + 1) * 1_000_000_000)
            #expect(store.ingest(stories.flatMap(\.batches), now: Instant(nanoseconds: hour + 1), wall: wall) == .stored(spans: 150))
        }
        #expect(store.status.files == 4)
        let counted = durations.filter { $0.begin >= (seconds ?? 0) * 1_000 }
        let expected = Dictionary(grouping: counted, by: \.route).values.flatMap { traces in
            let sorted = traces.map(\.duration).sorted()
            let threshold = sorted[Int((share * Double(sorted.count)).rounded(.up)) - 1]
            return traces.filter { $0.duration > threshold }.map(\.id)
        }
        let since = seconds.map { UnixTime(nanoseconds: Story.noon.nanoseconds + $0 * 1_000_000_000) }
        let found = store.list(.term(.slower(share)), since: since, limit: 1_000).traces.map(\.traceID.high)
        #expect(found.sorted() == expected.sorted() && !expected.isEmpty)
    }

    @Test func aPathOfFewOrNoTracesIsStillOne() {
        #expect(store([]).path(.all).traces == 0)
        let one = store([Self.order(1)]).path(.all)
        #expect(one.typical.traces == 1 && one.slow.traces == 1)
        #expect(one.culprit == nil)
    }

    @Test func comparesSlowTracesWithTypicalOnes() throws {
        let report = store(Self.orders).compare(.all, with: nil)
        #expect(report.group.name == "slow (>= p95)")
        #expect(report.group.traces == 50 && report.baseline.traces == 100)
        let first = try #require(report.findings.first)
        #expect(first.trait == .init(service: "ledger", name: "mesh.fault", value: "true"))
        #expect(first.share == 1 && first.baseline == 0 && first.ratio == nil)
        // All slow ones are multiples of four, too.
        #expect(report.findings.contains { $0.trait == .init(service: "inventory", name: "version", value: "v2") && $0.share == 1 })
        #expect(!report.findings.contains { $0.trait.name == "region" || $0.trait.name == "order_id" || $0.trait.name == "route" })
    }

    @Test func comparesTwoQueries() throws {
        let report = store(Self.orders).compare(try TraceQuery("version:v2"), with: try TraceQuery("version:v1"))
        #expect(report.group.traces == 250 && report.baseline.traces == 750)
        #expect(report.findings.first?.trait == .init(service: "inventory", name: "version", value: "v2"))
        #expect(store([Self.order(2_001)]).compare(try TraceQuery("version:v9"), with: .all).findings.isEmpty)
    }

    @Test func countsByRouteAndByOtherThings() throws {
        let store = store(Self.orders + [.short(5_001, begin: 9_000, status: 503)])
        let byRoute = store.statistics(.all, by: TraceGrouping(by: .route, [.quantile(0.5), .quantile(0.99), .most, .errors]))
        #expect(byRoute.groups.map(\.value) == ["POST /orders", "GET /catalog"])
        #expect(byRoute.groups.map(\.traces) == [1_000, 1])
        #expect(byRoute.groups.map(\.failed) == [0, 1])
        #expect(byRoute.groups[0].measures[0] < 41 && byRoute.groups[0].measures[1] > 339)
        #expect(byRoute.groups[0].histogram.reduce(0, +) == 1_000)
        #expect(byRoute.groups[0].histogram.last == 50)
        #expect(zip(byRoute.bounds, byRoute.bounds.dropFirst()).allSatisfy { $0 < $1 })
        let byVersion = store.statistics(try TraceQuery("route:/orders"), by: TraceGrouping(by: .version))
        #expect(byVersion.groups.map(\.value) == ["inventory/v1", "inventory/v2"])
        #expect(byVersion.groups.map(\.traces) == [750, 250])
        let byRegion = store.statistics(.all, by: TraceGrouping(by: .attribute("region"), [.mean]))
        #expect(byRegion.groups.map(\.value) == ["south", "north", ""])
        #expect(store.statistics(.all, by: TraceGrouping(by: .status)).groups.map(\.value) == ["201", "503"])
        #expect(store.statistics(.all, by: TraceGrouping(by: .service)).groups.first?.traces == 1_001)
    }

    static let spanFilters: [(String, [UInt64])] = [
        ("attr.order_id:7", [7]),
        ("attr.order_id:7 service:orders", [7]),
        ("attr.order_id:7 service:ledger", []),
        ("service:ledger (attr.order_id:7)", [7]),
        ("attr.order_id:7 or attr.order_id:9", [9, 7]),
        ("attr.order_id<3", [2, 1]),
        ("attr.order_id>=19 not attr.region:north", [20, 19]),
        ("attr.region:nor* attr.order_id<7", [6, 3]),
        ("attr.region!=south attr.order_id<7", [6, 3]),
        ("attr.nothing:1", []),
        ("not attr.nothing:1 attr.order_id:5", [5]),
        ("self>250ms", [20]),
        ("service:ledger self>250ms", [20]),
        ("service:orders self>250ms", []),
        ("tier:domain self>8ms attr.order_id:5", [5]),
        ("service:inventory self<1ms", []),
        ("version:v2 attr.order_id:4", []),
        ("version:v2 (attr.order_id:4)", [4]),
        ("version:inventory/v2 (attr.order_id<5)", [4]),
        ("attr.mesh.fault:true", [20]),
        ("attr.http.response.status_code>=201 attr.order_id:1", []),
        ("slower:p90 attr.order_id>0", [20, 19]),
        ("not slower:p5 slower:p1", []),
        ("spans>9 attr.order_id:1", [1]),
        ("errors>0", []),
    ]

    @Test(arguments: spanFilters)
    func selectsBySpans(text: String, expected: [UInt64]) throws {
        let stories = (1...20 as ClosedRange<UInt64>).map {
            Self.order($0, ledger: $0 == 20 ? 300 : Double($0) / 1_000, version: $0 % 4 == 0 ? "v2" : "v1", fault: $0 == 20)
        }
        let found = store(stories).list(try TraceQuery(text))
        #expect(found.problems.isEmpty)
        #expect(found.traces.map(\.traceID.high) == expected)
    }

    @Test func aSearchNamesTheSpans() throws {
        let found = store(Self.orders).search(try TraceQuery("service:ledger self>250ms"), limit: 3)
        #expect(found.list.traces.map(\.traceID.high) == [1_000, 980, 960])
        #expect(found.spans.values.allSatisfy { $0.map(\.span.name) == ["POST /payments"] && $0[0].selfTime == .milliseconds(320) })
    }

    // MARK: Following

    @Test func aTailShowsEachTraceOnceAndWhenItIsQuiet() {
        var tail = TraceTail()
        let ids = (1...3 as ClosedRange<UInt64>).map { TraceID(high: $0, low: 1) }
        func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }
        tail.stored([ids[0], ids[1]], now: at(0))
        #expect(tail.settled(now: at(400), limit: 10) == [])
        tail.stored([ids[1], ids[2]], now: at(450))
        #expect(tail.settled(now: at(500), limit: 10) == [ids[0]])
        // Late spans do not show it again.
        tail.stored([ids[0]], now: at(600))
        #expect(tail.settled(now: at(2_000), limit: 1) == [ids[1]])
        #expect(tail.settled(now: at(2_000), limit: 10) == [ids[2]])
        #expect(tail.takeDropped() == 0)
    }

    @Test func aTailIsPatientButNotForEver() {
        var tail = TraceTail()
        let id = TraceID(high: 1, low: 1)
        for second in 0..<100 as Range<Int64> {
            let now = Instant(nanoseconds: second * 300_000_000)
            tail.stored([id], now: now)
            if tail.settled(now: now, limit: 10) == [id] { return }
        }
        Issue.record("never shown")
    }

    @Test func whatATailHasNoRoomForIsCounted() {
        var tail = TraceTail(capacity: 10)
        tail.stored((1...25 as ClosedRange<UInt64>).map { TraceID(high: $0, low: 1) }, now: .zero)
        #expect(tail.takeDropped() == 15)
        #expect(tail.takeDropped() == 0)
        #expect(tail.settled(now: Instant(nanoseconds: 1_000_000_000), limit: 100).count == 10)
    }

    @Test func whoFollowsIsShownWhatMatches() throws {
        let store = store(Array(Self.orders.prefix(100)))
        let ids = (1...100 as ClosedRange<UInt64>).map { TraceID(high: $0, low: 1) }
        func matching(_ text: String, among ids: [TraceID]) throws -> [UInt64] {
            var followed = FollowedQuery(try TraceQuery(text))
            return store.matching(&followed, among: ids, now: .zero).map(\.high)
        }
        #expect(try matching("", among: ids).count == 100)
        #expect(try matching("time>300ms", among: ids) == [100, 80, 60, 40, 20])
        #expect(try matching("time>300ms", among: Array(ids[30..<50])) == [40])
        #expect(try matching("slower:p95 service:ledger self>300ms", among: ids).allSatisfy { $0 % 20 == 0 })
        #expect(try matching("service:crm", among: ids) == [])
        #expect(try matching("time>300ms", among: []) == [])
        #expect(store.summaries(of: [ids[7], ids[2]]).map(\.traceID.high) == [3, 8])
    }

    @Test func observersHearOfWhatIsStored() {
        let store = store([])
        let heard = Guarded<[TraceID]>([])
        let observer = store.observe { ids in heard.withLock { $0 += ids } }
        store.ingest(Story.order(1).batches)
        store.forget(observer: observer)
        store.ingest(Story.order(2).batches)
        #expect(heard.withLock { $0 } == [TraceID(high: 1, low: 1)])
    }
}
