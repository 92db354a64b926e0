import MeshModel
import MeshStore
import MeshTelemetry
import TestSupport
import Testing

@Suite("Trace analysis", .calculating)
struct TraceAnalysisTests {
    private func milliseconds(_ time: Timespan) -> Double { time.seconds * 1_000 }

    @Test func ordersParentsBeforeChildrenAndSiblingsByStart() {
        let nodes = TraceTree(Story.order().spans.reversed()).nodes
        #expect(nodes.map(\.span.spanID.value) == Array(1...13))
        #expect(nodes.map(\.depth) == [0, 1, 2, 3, 4, 5, 6, 5, 5, 6, 4, 5, 6])
    }

    @Test func selfTimeIsWhatNoChildCovers() {
        let tree = TraceTree(Story.order().spans)
        // orders: 352 ms, less 84 for inventory and 241 for ledger.
        #expect(milliseconds(tree.selfTime(of: 3)) == 27)
        #expect(milliseconds(tree.selfTime(of: 12)) == 239)
    }

    @Test func selfTimeCountsParallelChildrenOnceAndOnlyWithinTheParent() {
        var story = Story(1)
        story.add(Story.orders, .server, 1, under: nil, 0, 100)
        story.add(Story.orders, .internal, 2, under: 1, 10, 60)
        story.add(Story.orders, .internal, 3, under: 1, 20, 50)
        story.add(Story.orders, .internal, 4, under: 1, 55, 70)
        story.add(Story.orders, .internal, 5, under: 1, 90, 140)
        let tree = TraceTree(story.spans)
        #expect(milliseconds(tree.selfTime(of: 0)) == 30)
    }

    @Test func dividesTheTimeOfAnOrder() {
        let analysis = Story.order().analysis
        let tiers = Dictionary(uniqueKeysWithValues: analysis.tiers.map { ($0.name, milliseconds($0.time)) })
        #expect(tiers == ["edge": 2, "domain": 27, "enterprise": 305])
        #expect(analysis.tiers.map(\.name) == ["edge", "domain", "enterprise"])
        // Around orders 8, around inventory 1 + 2, around ledger 2.
        #expect(milliseconds(analysis.overhead) == 13)
        #expect(milliseconds(analysis.backoff) == 15)
        #expect(milliseconds(analysis.retryCost) == 75)
        #expect(analysis.retries == [.init(destination: "inventory", count: 1)])
        #expect(analysis.note == "1 retry inventory")
        #expect(analysis.isComplete)
        #expect(analysis.services.first?.name == "ledger")
    }

    @Test func explainsAnOrder() {
        let analysis = Story.order().analysis
        #expect(analysis.explanation() == "retries cost 75ms (21%); ledger took 239ms (66%)")
        let comparison = TraceComparison(slowerThan: 0.987, services: ["ledger": 0.974])
        #expect(
            analysis.explanation(comparison)
                == "slower than 98.7% of this route; retries cost 75ms (21%); ledger took 239ms (66%), at its own p97")
        #expect(analysis.explanation(TraceComparison(slowerThan: 0.25)).hasPrefix("faster than 75% of this route"))
    }

    @Test func namesWhoFailedFirst() {
        var story = Story(1)
        story.add(Story.gateway, .gateway, 1, under: nil, 0, 50, status: .error) { $0.add(.httpResponseStatusCode, 504) }
        story.call(Story.gateway, to: Story.orders, 2, under: 1, 0, 50, status: .error)
        story.attempt(Story.gateway, to: Story.orders, 3, under: 2, 0, 50, number: 1, status: 504)
        story.add(Story.orders, .server, 4, under: 3, 1, 49, status: .error) { $0.add(.httpResponseStatusCode, 504) }
        story.attempt(Story.orders, to: Story.ledger, 5, under: 4, 2, 48, number: 1, status: nil, flag: .upstreamTimeout)
        #expect(story.analysis.explanation().hasPrefix("failed at ledger: UT; "))
        #expect(story.analysis.isComplete)
    }

    @Test func anAttemptWithoutAnswerIsSpentOnItsDestination() {
        var story = Story(1)
        story.add(Story.orders, .server, 1, under: nil, 0, 100)
        story.attempt(Story.orders, to: Story.ledger, 2, under: 1, 10, 90, number: 1, status: nil, flag: .upstreamTimeout)
        let analysis = story.analysis
        #expect(analysis.tiers.map { milliseconds($0.time) } == [20, 80])
        #expect(analysis.overhead == .zero)
    }

    @Test func saysWhatIsMissing() {
        var lostChild = Story(1)
        lostChild.add(Story.gateway, .gateway, 1, under: nil, 0, 50)
        lostChild.attempt(Story.gateway, to: Story.orders, 2, under: 1, 0, 50, number: 1, status: 200)
        #expect(lostChild.analysis.missing == ["the span of orders under attempt 1 of gateway"])
        #expect(lostChild.analysis.note == "incomplete")

        var lostParent = Story(2)
        lostParent.add(Story.gateway, .gateway, 1, under: nil, 0, 50)
        lostParent.add(Story.orders, .server, 4, under: 3, 5, 45) { $0.name("GET /orders") }
        #expect(lostParent.analysis.missing == ["the parent of orders's span 'GET /orders'"])

        var lostRoot = Story(3)
        lostRoot.add(Story.orders, .server, 4, under: 3, 5, 45)
        #expect(lostRoot.analysis.missing.first == "the root span")
        #expect(lostRoot.analysis.explanation().contains("incomplete"))

        var external = Story(4)
        external.add(Story.orders, .server, 1, under: nil, 0, 50)
        external.add(Story.orders, .attempt, 2, under: 1, 0, 50) { span in
            span.add(.external, true)
            span.add(.httpResponseStatusCode, 200)
        }
        #expect(external.analysis.isComplete)
    }

    @Test func anAttemptIsAsItsCallSays() {
        var story = Story(1)
        story.add(Story.orders, .server, 1, under: nil, 0, 50)
        story.add(Story.orders, .call, 2, under: 1, 0, 50) { span in
            span.add(.destination, "rates")
            span.add(.destinationTier, "enterprise")
            span.add(.external, true)
        }
        story.add(Story.orders, .attempt, 3, under: 2, 0, 50) { span in
            span.add(.destination, "rates")
            span.add(.httpResponseStatusCode, 200)
        }
        #expect(story.analysis.isComplete)
        #expect(story.analysis.services.first?.name == "rates")
        #expect(story.analysis.tiers.map(\.name) == ["domain", "enterprise"])
    }

    @Test func aContinuedContextMakesTheGatewayTheRoot() {
        var story = Story(1)
        story.add(Story.gateway, .gateway, 2, under: 99, 0, 50)
        #expect(story.analysis.isComplete)
    }

    @Test func parallelCallsCountOnceOnThePath() {
        var story = Story(1)
        story.add(Story.orders, .server, 1, under: nil, 0, 100)
        story.add(Story.inventory, .server, 2, under: 1, 10, 60)
        story.add(Story.ledger, .server, 3, under: 1, 10, 90)
        let services = Dictionary(uniqueKeysWithValues: story.analysis.services.map { ($0.name, milliseconds($0.time)) })
        #expect(services == ["orders": 20, "ledger": 80, "inventory": 0])
    }

    @Test func cyclesAndRepeatedSpansDoNoHarm() {
        var story = Story(1)
        story.add(Story.orders, .server, 1, under: 2, 0, 100)
        story.add(Story.orders, .server, 2, under: 1, 0, 90)
        story.add(Story.orders, .server, 3, under: 3, 0, 10)
        let tree = TraceTree(story.spans + story.spans)
        #expect(tree.nodes.count == 3)
        _ = TraceAnalysis(tree).explanation()
        #expect(TraceAnalysis(TraceTree([])).explanation() == "no spans")
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func thePathAddsUpToTheRoot(seed: UInt64) {
        var random = RandomSource(seed: seed)
        var story = Story(seed + 1)
        let processes = [Story.gateway, Story.orders, Story.inventory, Story.ledger]
        story.add(processes[0], .gateway, 1, under: nil, 0, Double(random.next(below: 1_000)))
        for span in 2..<UInt64(3 + random.next(below: 40)) {
            let parent = UInt64(1 + random.next(below: Int(span) - 1))
            let start = Double(random.next(below: 1_200)) - 100
            let kind = SpanKind.allCases[1 + random.next(below: 5)]
            story.add(processes[random.next(below: 4)], kind, span, under: parent, start, start + Double(random.next(below: 600)))
        }
        let analysis = story.analysis
        let sum = analysis.path.own.reduce(Timespan.zero, +)
        #expect(sum == analysis.duration)
        #expect(analysis.path.own.allSatisfy { $0 >= .zero })
        #expect(analysis.path.total[0] == analysis.duration)
        let told = analysis.tiers.reduce(Timespan.zero) { $0 + $1.time } + analysis.overhead + analysis.backoff
        #expect(told == analysis.duration)
        for index in analysis.tree.nodes.indices {
            let own = analysis.tree.selfTime(of: index)
            #expect(own >= .zero && own <= analysis.tree.nodes[index].span.duration)
        }
    }

    @Test func tenThousandSpansAreNoTrouble() {
        var story = Story(1)
        story.add(Story.gateway, .gateway, 1, under: nil, 0, 1_000)
        for span in 2...10_000 as ClosedRange<UInt64> {
            // A chain of a thousand, and nine thousand siblings.
            story.add(Story.orders, .internal, span, under: span <= 1_000 ? span - 1 : 1_000, Double(span) / 100, Double(span) / 100 + 1)
        }
        let analysis = story.analysis
        #expect(analysis.tree.nodes.count == 10_000)
        #expect(analysis.path.own.reduce(.zero, +) == analysis.duration)
    }
}
