import MeshModel
import MeshStore
import MeshTelemetry
import TestSupport
import Testing

/// The examples of docs/critical-path.md, by number.
@Suite("Critical path", .calculating)
struct CriticalPathTests {
    private func own(_ story: Story) -> [UInt64: Double] {
        let analysis = story.analysis
        return Dictionary(
            uniqueKeysWithValues: analysis.tree.nodes.indices.map {
                (analysis.tree.nodes[$0].span.spanID.value, analysis.path.own[$0].seconds * 1_000)
            })
    }

    @Test func parallelFanOutWaitsForTheLastOnly() {
        var story = Story(1)
        story.add(Story.orders, .server, 1, under: nil, 0, 100)
        story.add(Story.orders, .internal, 2, under: 1, 10, 40)
        story.add(Story.orders, .internal, 3, under: 1, 10, 90)
        story.add(Story.orders, .internal, 4, under: 1, 10, 60)
        #expect(own(story) == [1: 20, 2: 0, 3: 80, 4: 0])
        #expect(story.analysis.path.stretches.map { $0 == nil } == [false, false, true, true])
    }

    @Test func whatStillRanWhenALaterOneBeganWasNotWaitedFor() {
        var story = Story(1)
        story.add(Story.orders, .server, 1, under: nil, 0, 100)
        // Begun and left alone while the code worked on, then one that it waited for.
        story.add(Story.orders, .internal, 2, under: 1, 0, 80)
        story.add(Story.orders, .internal, 3, under: 1, 50, 95)
        #expect(own(story) == [1: 55, 2: 0, 3: 45])
    }

    @Test func retriesStandOneAfterTheOther() {
        let path = own(Story.order())
        // First try 59 in inventory and 1 on the wire, 15 of backoff, second try 7 and 2.
        #expect(path[7] == 59 && path[6] == 1 && path[8] == 15 && path[10] == 7 && path[9] == 2)
        let analysis = Story.order().analysis
        #expect(analysis.parts[.retries] == .milliseconds(75))
        #expect(analysis.parts[.service(tier: "enterprise", name: "inventory")] == .milliseconds(7))
        #expect(analysis.parts[.service(tier: "enterprise", name: "ledger")] == .milliseconds(239))
        #expect(analysis.parts.values.reduce(.zero, +) == analysis.duration)
    }

    @Test func ofAHedgedCallTheWinnerCountsAndBeforeItTheWaitForTheOther() {
        var story = Story(1)
        story.add(Story.orders, .server, 1, under: nil, 0, 110)
        story.call(Story.orders, to: Story.inventory, 2, under: 1, 0, 100)
        story.attempt(Story.orders, to: Story.inventory, 3, under: 2, 0, 100, number: 1, status: nil)
        story.attempt(Story.orders, to: Story.inventory, 4, under: 2, 50, 100, number: 2, status: 200)
        story.add(Story.inventory, .server, 5, under: 4, 55, 95)
        #expect(own(story) == [1: 10, 2: 0, 3: 50, 4: 10, 5: 40])
    }

    @Test func aHedgeThatLostCountsNothing() {
        var story = Story(1)
        story.add(Story.orders, .server, 1, under: nil, 0, 100)
        story.call(Story.orders, to: Story.inventory, 2, under: 1, 0, 100)
        story.attempt(Story.orders, to: Story.inventory, 3, under: 2, 0, 100, number: 1, status: 200)
        story.attempt(Story.orders, to: Story.inventory, 4, under: 2, 50, 100, number: 2, status: nil)
        #expect(own(story) == [1: 0, 2: 0, 3: 100, 4: 0])
    }

    @Test func ofAHedgedCallOneThatFailedCountsUntilTheOtherBegan() {
        var story = Story(1)
        story.add(Story.orders, .server, 1, under: nil, 0, 100)
        story.call(Story.orders, to: Story.inventory, 2, under: 1, 0, 100)
        story.attempt(Story.orders, to: Story.inventory, 3, under: 2, 0, 70, number: 1, status: 503)
        story.attempt(Story.orders, to: Story.inventory, 4, under: 2, 50, 100, number: 2, status: 200)
        #expect(own(story) == [1: 0, 2: 0, 3: 50, 4: 50])
    }

    @Test func asyncChildrenThatOutliveTheirParentAreNotOnIt() {
        var story = Story(1)
        story.add(Story.orders, .server, 1, under: nil, 0, 100)
        story.add(Story.orders, .internal, 2, under: 1, 20, 500)
        story.add(Story.orders, .internal, 3, under: 2, 30, 90)
        story.add(Story.orders, .internal, 4, under: 1, 40, 70)
        #expect(own(story) == [1: 70, 2: 0, 3: 0, 4: 30])
        #expect(story.analysis.tree.selfTime(of: 0) == .milliseconds(20))
    }

    @Test func aClockReadAMomentLaterIsNoOutliving() {
        var story = Story(1)
        story.add(Story.orders, .server, 1, under: nil, 0, 100)
        story.add(Story.orders, .internal, 2, under: 1, 20, 100.2)
        #expect(own(story) == [1: 20, 2: 80])
    }

    @Test func whereTheCallerGaveUpThePathGoesOnToWhatItWaitedForThen() {
        var story = Story(1)
        story.add(Story.gateway, .gateway, 1, under: nil, 0, 101)
        story.call(Story.gateway, to: Story.orders, 2, under: 1, 0, 100)
        story.attempt(Story.gateway, to: Story.orders, 3, under: 2, 0, 100, number: 1, status: nil, flag: .upstreamTimeout)
        story.add(Story.orders, .server, 4, under: 3, 2, 2_000)
        story.add(Story.orders, .internal, 5, under: 4, 10, 40)
        story.add(Story.orders, .internal, 6, under: 4, 50, 1_900)
        #expect(own(story) == [1: 1, 2: 0, 3: 2, 4: 18, 5: 30, 6: 50])
    }

    @Test func anInjectedFaultIsTimeOfTheOneItPlays() {
        var story = Story(1)
        story.add(Story.orders, .server, 1, under: nil, 0, 400)
        story.call(Story.orders, to: Story.ledger, 2, under: 1, 10, 390)
        story.add(Story.orders, .attempt, 3, under: 2, 10, 390) { span in
            span.add(.destination, "ledger")
            span.add(.destinationTier, "enterprise")
            span.add(.fault, "delay 300ms")
            span.add(.httpResponseStatusCode, 201)
        }
        story.add(Story.orders, .queue, 5, under: 3, 10, 310)
        story.add(Story.ledger, .server, 4, under: 3, 320, 380)
        let analysis = story.analysis
        #expect(analysis.parts[.service(tier: "enterprise", name: "ledger")] == .milliseconds(380))
        #expect(analysis.parts[.service(tier: "domain", name: "orders")] == .milliseconds(20))
        #expect(analysis.isComplete)
        #expect(analysis.explanation().contains("a fault was injected at orders -> ledger: delay 300ms"))
    }

    @Test func nobodyWaitsForTheCopyOfARequest() {
        var story = Story(1)
        story.add(Story.gateway, .gateway, 1, under: nil, 0, 100)
        story.call(Story.gateway, to: Story.orders, 2, under: 1, 10, 60)
        story.add(Story.gateway, .call, 3, under: 1, 10, 95) { span in
            span.add(.destination, "orders-next")
            span.add(.mirror, true)
        }
        #expect(own(story) == [1: 50, 2: 50, 3: 0])
    }

    // MARK: Clocks

    /// Orders on one host calls ledger on another, whose clock is ahead by so many milliseconds.
    private func twoHosts(ahead: Double) -> Story {
        var story = Story(1)
        let here = StoryProcess("orders", "domain", clock: 11)
        let there = StoryProcess("ledger", "enterprise", clock: 12)
        story.add(here, .server, 1, under: nil, 0, 100)
        story.call(here, to: there, 2, under: 1, 10, 90)
        story.attempt(here, to: there, 3, under: 2, 10, 90, number: 1, status: 200)
        story.add(there, .server, 4, under: 3, 14 + ahead, 84 + ahead)
        story.add(there, .internal, 5, under: 4, 20 + ahead, 80 + ahead)
        return story
    }

    @Test(arguments: [0, 0.5, 30, -30, 5_000, -86_400_000.0])
    func anotherHostsSpansAreBoundedByTheHop(ahead: Double) {
        let analysis = twoHosts(ahead: ahead).analysis
        // 10 of slack: the request lies anywhere in it.
        let estimate = analysis.clocks.estimates[12]
        #expect(estimate?.error == .milliseconds(5))
        #expect(estimate?.offset == .microseconds(Int64(1_000 - ahead * 1_000)))
        #expect(estimate?.services == ["ledger"])
        #expect(own(twoHosts(ahead: ahead)) == [1: 20, 2: 0, 3: 10, 4: 10, 5: 60])
        #expect(analysis.path.own.reduce(.zero, +) == .milliseconds(100))
        let spans = analysis.tree.nodes.map(\.span)
        #expect(spans[3].start >= spans[2].start && spans[3].end <= spans[2].end)
        #expect(spans[4].start.nanoseconds - spans[3].start.nanoseconds == 6_000_000)
        #expect(spans.map(\.duration) == twoHosts(ahead: 0).spans.map(\.duration))
    }

    @Test func moreHopsNarrowTheOffset() {
        var story = twoHosts(ahead: 30)
        let here = StoryProcess("orders", "domain", clock: 11)
        let there = StoryProcess("ledger", "enterprise", clock: 12)
        story.attempt(here, to: there, 7, under: 1, 91, 95, number: 1, status: 200)
        story.add(there, .server, 8, under: 7, 92 + 30, 94 + 30)
        #expect(story.analysis.clocks.estimates[12] == .init(offset: .milliseconds(-30), error: .milliseconds(1), services: ["ledger"]))
    }

    @Test func spansOfOneHostAreNeverMoved() {
        var story = Story(1)
        let here = StoryProcess("orders", "domain", clock: 11)
        story.add(here, .server, 1, under: nil, 0, 100)
        story.add(StoryProcess("ledger", "enterprise", clock: 11), .server, 2, under: 1, 120, 150)
        #expect(story.analysis.clocks.estimates.isEmpty)
        #expect(story.analysis.tree.nodes.map(\.span) == TraceTree(story.spans).nodes.map(\.span))
    }

    // MARK: Properties

    /// A trace of calls, tries, hedges, detached work and given-up servers, over one host or three.
    static func random(_ seed: UInt64) -> Story {
        var random = RandomSource(seed: seed)
        var story = Story(seed + 1)
        let clocks: [UInt64] = seed % 2 == 0 ? [1, 1, 1, 1] : [1, 2, 3, 2]
        let names = ["gateway", "orders", "inventory", "ledger"]
        let processes = names.indices.map {
            StoryProcess(names[$0], ["edge", "domain", "enterprise", "enterprise"][$0], clock: clocks[$0])
        }
        story.add(processes[0], .gateway, 1, under: nil, 0, Double(random.next(below: 1_000)))
        for span in 2..<UInt64(3 + random.next(below: 60)) {
            let parent = UInt64(1 + random.next(below: Int(span) - 1))
            let start = Double(random.next(below: 1_200)) - 100
            let kind = SpanKind.allCases[1 + random.next(below: 5)]
            story.add(processes[random.next(below: 4)], kind, span, under: parent, start, start + Double(random.next(below: 600))) {
                writer in
                if random.next(below: 2) == 0 { writer.add(.httpResponseStatusCode, 200) }
                if random.next(below: 4) == 0 { writer.add(.retried, true) }
            }
        }
        return story
    }

    @Test(arguments: 0..<400 as Range<UInt64>)
    func thePartsAddUpAndThePathIsNeverLongerThanTheRoot(seed: UInt64) {
        let analysis = Self.random(seed).analysis
        let tree = analysis.tree
        #expect(analysis.path.own.reduce(.zero, +) == analysis.duration)
        #expect(analysis.parts.values.reduce(.zero, +) == analysis.duration)
        for (index, node) in tree.nodes.enumerated() {
            #expect(analysis.path.own[index] >= .zero)
            #expect(analysis.path.total[index] <= analysis.duration)
            #expect(analysis.path.total[index] <= node.span.duration)
            guard let stretch = analysis.path.stretches[index] else {
                #expect(analysis.path.total[index] == .zero)
                continue
            }
            // It is in the span, and all of it is accounted for by the span and its children.
            #expect(stretch.start >= node.span.start && stretch.end <= node.span.end)
            #expect(.nanoseconds(stretch.end.nanoseconds - stretch.start.nanoseconds) == analysis.path.total[index])
        }
        // A span's self time and the time in which some child ran are its duration.
        for (index, node) in tree.nodes.enumerated() {
            let covered = Self.union(node.children.map { tree.nodes[$0].span }, within: node.span)
            #expect(tree.selfTime(of: index) + covered == node.span.duration)
        }
    }

    private static func union(_ spans: [DecodedSpan], within whole: DecodedSpan) -> Timespan {
        var edges = spans.flatMap { span -> [(Int64, Int)] in
            let from = max(span.start, whole.start).nanoseconds
            let to = min(span.end, whole.end).nanoseconds
            return from < to ? [(from, 1), (to, -1)] : []
        }
        edges.sort { $0 < $1 }
        var depth = 0
        var covered: Int64 = 0
        var reached: Int64 = 0
        for (time, change) in edges {
            if depth > 0 { covered += time - reached }
            reached = time
            depth += change
        }
        return .nanoseconds(covered)
    }
}
