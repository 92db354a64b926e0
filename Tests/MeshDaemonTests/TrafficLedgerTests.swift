import MeshAdminAPI
import MeshModel
import MeshPolicy
import MeshTelemetry
import Testing

@testable import MeshExchange
@testable import meshd

@Suite struct TrafficLedgerTests {
    private let start = Instant.zero + .seconds(1000)

    /// What a caller tells after so many calls, one of them in a hundred failed, each taking `milliseconds`.
    private func report(
        to: String, calls: Int, refused: Int = 0, milliseconds: Int64 = 10, breaker: String = "closed", endpoints: [EndpointReport] = []
    ) -> EdgeReport {
        var latencies = LatencyHistogram()
        for _ in 0..<calls { latencies.record(.milliseconds(milliseconds)) }
        return EdgeReport(
            to: to, tier: "enterprise",
            totals: [
                EdgeReport.Name.calls: UInt64(calls), EdgeReport.Name.failed: UInt64(calls / 100),
                EdgeReport.Name.refused: UInt64(refused), EdgeReport.Name.attempts: UInt64(calls * 3 / 2),
            ], refusals: ["circuit breaker open": UInt64(refused)], retries: [:], refusedRetries: [:], latencies: latencies,
            remaining: latencies, active: 2, retrying: 0, pending: 0, budget: 5, breaker: breaker, fault: nil, endpoints: endpoints,
            events: [])
    }

    private func instance(_ number: UInt64) -> InstanceID { InstanceID(high: 0, low: number) }

    @Test func whatHappenedInTheWindowIsTheDifferenceOfTotals() throws {
        var book = TrafficLedger()
        for second in 0...30 {
            for number: UInt64 in 1...2 {
                book.reported(
                    [report(to: "crm", calls: 1000 + second * 100)], metrics: [], by: instance(number), of: "orders", tier: "domain",
                    now: start + .seconds(second))
            }
        }
        let edge = try #require(book.edges(now: start + .seconds(30)).first)
        #expect(edge.from == "orders" && edge.to == "crm" && edge.active == 4 && edge.retryBudget == 10)
        #expect(edge.rps == 200 && edge.okRatio == 0.99 && edge.tries == 1.5)
        #expect(edge.p50MS.map { (10...11.3).contains($0) } == true && edge.budgetLeft.map { (10...11.3).contains($0) } == true)
        // Who is silent for longer than the window is not shown any more.
        #expect(book.edges(now: start + .seconds(41)).isEmpty)
    }

    @Test func oneReportAloneSaysNothingOfARate() throws {
        var book = TrafficLedger()
        book.reported([report(to: "crm", calls: 500)], metrics: [], by: instance(1), of: "orders", tier: "domain", now: start)
        let edge = try #require(book.edges(now: start).first)
        #expect(edge.rps == 0 && edge.okRatio == nil && edge.p99MS == nil && edge.tries == nil)
    }

    @Test func refusalsAreNoSuccess() throws {
        var book = TrafficLedger()
        for (second, refused) in [(0, 0), (10, 100)] {
            book.reported(
                [report(to: "crm", calls: 100, refused: refused)], metrics: [], by: instance(1), of: "orders", tier: "domain",
                now: start + .seconds(second))
        }
        let edge = try #require(book.edges(now: start + .seconds(10)).first)
        #expect(edge.rps == 10 && edge.okRatio == 0)
        let why = try #require(book.explanation(from: "orders", to: "crm", window: nil, now: start + .seconds(10)) { _ in nil })
        #expect(why.refusals == ["circuit breaker open": 100])
    }

    @Test func aBreakerIsToldAsBadAsAnyCallerSeesIt() throws {
        func endpoint(_ breaker: String) -> EndpointReport {
            EndpointReport(
                instance: breaker, version: nil, inFlight: 0, latencyMilliseconds: nil, breaker: breaker, calls: 0, failures: 0,
                takesNoCalls: false)
        }
        func breaker(_ reports: EdgeReport...) -> String? {
            var book = TrafficLedger()
            for (number, report) in reports.enumerated() {
                book.reported([report], metrics: [], by: instance(UInt64(number)), of: "orders", tier: "", now: start)
            }
            return book.edges(now: start).first?.breaker
        }
        let closed = report(to: "crm", calls: 0, endpoints: [endpoint("closed"), endpoint("closed")])
        #expect(breaker(closed) == "closed")
        #expect(breaker(closed, report(to: "crm", calls: 0, endpoints: [endpoint("closed"), endpoint("open")])) == "1 of 2 open")
        #expect(breaker(closed, report(to: "crm", calls: 0, endpoints: [endpoint("half-open")])) == "half-open")
        #expect(breaker(closed, report(to: "crm", calls: 0, breaker: "open")) == "open")
    }

    @Test func metricsOfAllInstancesAreOneText() {
        var book = TrafficLedger()
        for number: UInt64 in 1...2 {
            book.reported(
                [report(to: "crm", calls: 300, refused: 4)],
                metrics: [MetricFamily("orders_placed_total", .counter, help: "orders", samples: [MetricSample(7)])], by: instance(number),
                of: "orders", tier: "domain", now: start)
        }
        let text = PrometheusText.render(book.families())
        for number in 1...2 {
            let labels = "service=\"orders\",instance=\"\(instance(UInt64(number)))\""
            #expect(text.contains("mesh_calls_total{\(labels),to=\"crm\"} 300\n"))
            #expect(text.contains("mesh_calls_refused_total{\(labels),to=\"crm\",cause=\"circuit breaker open\"} 4\n"))
            #expect(text.contains("mesh_call_duration_seconds_bucket{\(labels),to=\"crm\",le=\"0.005\"} 0\n"))
            #expect(text.contains("mesh_call_duration_seconds_bucket{\(labels),to=\"crm\",le=\"0.025\"} 300\n"))
            #expect(text.contains("mesh_call_duration_seconds_sum{\(labels),to=\"crm\"} 3\n"))
            #expect(text.contains("orders_placed_total{\(labels)} 7\n"))
        }
        for name in ["mesh_calls_total", "orders_placed_total"] { #expect(text.split(separator: "# TYPE \(name) ").count == 2) }
    }
}

@Suite struct FaultBookTests {
    private let edge = FaultBook.Edge(from: "orders", to: "ledger")

    @Test func anOrderLiesOverTheSnapshotUntilItsTimeIsOver() {
        var book = FaultBook()
        var snapshot = SnapshotConfiguration(
            mesh: "shop", service: "orders",
            destinations: [DestinationConfiguration(service: "ledger"), DestinationConfiguration(service: "crm")])
        let plain = snapshot
        book.apply(to: &snapshot)
        #expect(snapshot == plain)
        book.ordered(FaultPolicy(abort: 503, lasts: .seconds(10)), on: edge, now: .zero)
        #expect(book.nextExpiry == .zero + .seconds(10) && !book.expire(now: .zero + .seconds(9)))
        book.apply(to: &snapshot)
        #expect(snapshot.destinations[0].policy.fault?.abort == 503 && snapshot.destinations[1].policy.fault == nil)
        #expect(book.expire(now: .zero + .seconds(10)) && book.nextExpiry == nil)
    }

    @Test func twoOrdersAlikeAreTwo() {
        var book = FaultBook()
        func order(at now: Instant) -> UInt64? {
            book.ordered(FaultPolicy(abort: 503, lasts: .seconds(10)), on: edge, now: now)
            return book.orders[edge]?.policy.order
        }
        #expect(order(at: .zero) != order(at: .zero + .seconds(1)))
        #expect(book.orders.count == 1 && book.nextExpiry == .zero + .seconds(11))
        #expect(book.removed(edge) && !book.removed(edge))
    }
}
