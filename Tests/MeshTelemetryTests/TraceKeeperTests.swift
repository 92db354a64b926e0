import MeshModel
import TestSupport
import Testing

@testable import MeshTelemetry

private func records(_ headers: [SpanHeader]) -> [UInt8] {
    guard let ring = try? SpanRing(capacity: 1 << 20) else { preconditionFailure("no shared memory") }
    let recorder = SpanRecorder(ring: ring)
    for header in headers { recorder.record(header) { _ in } }
    var reader = SpanRingReader(ring)
    var bytes: [UInt8] = []
    reader.drain(into: &bytes)
    return bytes
}

extension TraceKeeper {
    fileprivate mutating func arrive(_ headers: [SpanHeader], isForeign: Bool = false, at milliseconds: Int64 = 0) {
        let now = Instant.zero + .milliseconds(milliseconds)
        let bytes = records(headers)
        bytes.withUnsafeBytes { learn($0, now: now) }
        bytes.withUnsafeBytes { take($0, from: Self.origin, isForeign: isForeign, now: now) }
    }

    /// Ids of the spans that are handed out.
    fileprivate mutating func handedOut() -> [UInt64] {
        takeKept(anchor: sampleAnchor).flatMap { (try? $0.decoded().spans) ?? [] }.map(\.spanID.value)
    }

    private static let origin = OriginReference(sampleOrigin)
}

@Suite("Trace keeper")
struct TraceKeeperTests {
    private let trace = TraceID(high: 1, low: 7)

    private func keeper(_ change: (inout TraceKeeper.Settings) -> Void = { _ in }) -> TraceKeeper {
        var settings = TraceKeeper.Settings()
        change(&settings)
        var keeper = TraceKeeper(settings)
        keeper.setKeepsAll(false)
        return keeper
    }

    @Test func spansBeforeAndAfterTheDecisionShareItsFate() {
        var keeper = keeper()
        keeper.arrive([sampleHeader(1, trace: trace)])
        #expect(keeper.handedOut() == [])
        #expect(keeper.counters.held == 1)
        keeper.arrive([sampleHeader(2, trace: trace, decision: .retried)])
        #expect(keeper.handedOut() == [1, 2])
        keeper.arrive([sampleHeader(3, trace: trace)], at: 30_000)
        #expect(keeper.handedOut() == [3])

        let other = TraceID(high: 1, low: 8)
        keeper.arrive([sampleHeader(4, trace: other)])
        keeper.arrive([sampleHeader(5, trace: other, decision: .notKept)])
        keeper.arrive([sampleHeader(6, trace: other)])
        #expect(keeper.handedOut() == [])
        #expect(keeper.counters.notKept == 3)
        #expect(keeper.heldBytes == 0)
    }

    @Test func aDecisionIsRememberedForAMinute() {
        var keeper = keeper()
        keeper.arrive([sampleHeader(1, trace: trace, decision: .error)])
        keeper.elapsed(.zero + .seconds(1))
        keeper.elapsed(.zero + .seconds(59))
        keeper.arrive([sampleHeader(2, trace: trace)], at: 59_000)
        #expect(keeper.handedOut() == [1, 2])
        for second in stride(from: 60, through: 200, by: 10) { keeper.elapsed(.zero + .seconds(second)) }
        keeper.arrive([sampleHeader(3, trace: trace)], at: 200_000)
        #expect(keeper.handedOut() == [])
        #expect(keeper.counters.held == 1)
    }

    @Test func ofSeveralRootsOneThatKeepsIsEnough() {
        var keeper = keeper()
        keeper.arrive([sampleHeader(1, trace: trace, decision: .error)])
        keeper.arrive([sampleHeader(2, trace: trace, decision: .notKept)])
        keeper.arrive([sampleHeader(3, trace: trace)])
        #expect(keeper.handedOut() == [1, 2, 3])
    }

    @Test func whatNobodyDecidesOnGoesUnlessItFailed() {
        var keeper = keeper()
        var failed = sampleHeader(2, trace: TraceID(high: 1, low: 8))
        failed.status = .error
        keeper.arrive([sampleHeader(1, trace: trace), failed])
        keeper.elapsed(.zero + .seconds(299))
        #expect(keeper.counters.held == 2)
        keeper.elapsed(.zero + .seconds(301))
        #expect(keeper.handedOut() == [2])
        #expect(keeper.counters.undecided == 1)
        #expect(keeper.heldBytes == 0)
    }

    @Test func spansFromOutsideAreKeptUnlessARootSaysNo() {
        var keeper = keeper()
        let refused = TraceID(high: 1, low: 8)
        keeper.arrive([sampleHeader(1, trace: trace), sampleHeader(2, trace: refused)], isForeign: true)
        keeper.arrive([sampleHeader(3, trace: refused, decision: .notKept)])
        keeper.elapsed(.zero + .seconds(11))
        #expect(keeper.handedOut() == [1])
    }

    @Test func theOldestTraceGivesWayAndIsMarkedIfItIsKeptAfterAll() throws {
        // Five records without items.
        var keeper = keeper { $0.heldBytes = 260 }
        for number in 1...8 as ClosedRange<UInt64> { keeper.arrive([sampleHeader(number, trace: TraceID(high: 1, low: number))]) }
        #expect(keeper.heldBytes <= 260)
        #expect(keeper.counters.lost == 3)
        keeper.arrive([sampleHeader(100, trace: TraceID(high: 1, low: 1), decision: .slow)])
        let spans = keeper.takeKept(anchor: sampleAnchor).flatMap { (try? $0.decoded().spans) ?? [] }
        #expect(spans.count == 2)
        let mark = try #require(spans.first { $0.integer(.lostSpans) == 1 })
        #expect(mark.name == "1 span lost")
        #expect(mark.parent != nil)
    }

    @Test func aMeshThatKeepsAllHoldsNothing() {
        var keeper = keeper()
        keeper.arrive([sampleHeader(1, trace: trace)])
        keeper.setKeepsAll(true)
        keeper.arrive([sampleHeader(2, trace: TraceID(high: 1, low: 8), decision: .notKept)])
        #expect(keeper.handedOut().sorted() == [1, 2])
    }

    @Test func memoryHoldsManyDecisions() {
        var memory = DecisionMemory(turnEvery: .seconds(60), limit: 10_000)
        var random = RandomSource(seed: 1)
        let traces = (0..<9_000).map { _ in TraceID.random(&random) }
        for (index, trace) in traces.enumerated() { memory.decided(trace, isKept: index % 3 == 0) }
        memory.elapsed(.zero)
        #expect(traces.enumerated().allSatisfy { memory[$1] == ($0 % 3 == 0) })
        #expect(memory[TraceID(high: 1, low: 1)] == nil)
    }
}

/// Many requests of three tiers, whose spans and decisions come late, in any order or not at all, from daemons that come and go.
@Suite("Trace keeper, simulated", .calculating)
struct TraceKeeperSimulationTests {
    private struct Arrival {
        var at: Int64
        var header: SpanHeader
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func keptTracesAreWholeAndNothingIsLostUncounted(seed: UInt64) {
        var random = RandomSource(seed: seed)
        let restarts = random.next(below: 3) == 0
        let loses = random.next(below: 3) == 0
        var settings = TraceKeeper.Settings()
        settings.heldBytes = random.next(below: 2) == 0 ? 64 << 10 : 1 << 20
        var keeper = TraceKeeper(settings)
        keeper.setKeepsAll(false)

        // A request takes up to 20 s; each of its spans ends on the way, and reaches the daemon up to 300 ms later.
        var arrivals: [Arrival] = []
        var isKept: [TraceID: Bool] = [:]
        var spans: [TraceID: Set<UInt64>] = [:]
        var lost: Set<TraceID> = []
        for _ in 0..<400 {
            let trace = TraceID.random(&random)
            let begin = Int64(random.next(below: 120_000))
            let duration = Int64(random.next(below: 4) == 0 ? 5_000 + random.next(below: 15_000) : 1 + random.next(below: 200))
            let keeps = random.next(below: 10) == 0
            isKept[trace] = keeps
            for number in 0..<(2 + random.next(below: 8)) {
                let isRoot = number == 0
                let id = UInt64(number + 1)
                spans[trace, default: []].insert(id)
                if loses, !isRoot, random.next(below: 50) == 0 {
                    lost.insert(trace)
                    continue
                }
                let end = isRoot ? begin + duration : begin + Int64(random.next(below: Int(duration) + 1))
                let header = sampleHeader(id, trace: trace, decision: isRoot ? (keeps ? .error : .notKept) : nil)
                arrivals.append(Arrival(at: end + Int64(random.next(below: 300)), header: header))
            }
        }
        arrivals.sort { $0.at < $1.at }

        var kept: [TraceID: Set<UInt64>] = [:]
        var marked: Set<TraceID> = []
        var total = TraceKeeper.Counters()
        var handedOut: UInt64 = 0
        func collect(_ keeper: inout TraceKeeper) {
            for span in keeper.takeKept(anchor: sampleAnchor).flatMap({ (try? $0.decoded().spans) ?? [] }) {
                handedOut += 1
                if span.integer(.lostSpans) != nil {
                    marked.insert(span.traceID)
                } else {
                    kept[span.traceID, default: []].insert(span.spanID.value)
                }
            }
        }
        func add(_ counters: TraceKeeper.Counters) {
            total.arrived += counters.arrived
            total.kept += counters.kept
            total.notKept += counters.notKept
            total.undecided += counters.undecided
            total.lost += counters.lost
            total.held += counters.held
        }
        var next = 0
        var time: Int64 = 0
        var restarted = false
        while next < arrivals.count {
            time += 200
            var headers: [SpanHeader] = []
            while next < arrivals.count, arrivals[next].at <= time {
                headers.append(arrivals[next].header)
                next += 1
            }
            keeper.arrive(headers, at: time)
            keeper.elapsed(.zero + .milliseconds(time))
            collect(&keeper)
            #expect(keeper.heldBytes <= settings.heldBytes)
            if restarts, !restarted, time > 60_000 {
                restarted = true
                // What is held goes with a daemon that is killed.
                add(keeper.counters)
                keeper = TraceKeeper(settings)
                keeper.setKeepsAll(false)
            }
        }
        add(keeper.counters)
        // Marks are made here, not brought.
        #expect(total.arrived == UInt64(arrivals.count))
        #expect(total.arrived == handedOut - UInt64(marked.count) + total.notKept + total.undecided + total.lost + total.held)
        for (trace, keeps) in isKept {
            guard keeps else {
                #expect(kept[trace] == nil || restarted)
                continue
            }
            let isWhole = kept[trace] == spans[trace]
            #expect(isWhole || lost.contains(trace) || marked.contains(trace) || restarted)
        }
    }
}
