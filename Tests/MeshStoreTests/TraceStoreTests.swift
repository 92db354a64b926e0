import Foundation
import MeshModel
import MeshStore
import MeshTelemetry
import TestSupport
import Testing

@Suite("Trace store", .calculating)
struct TraceStoreTests {
    private let folder = TemporaryFolder()
    private let now = Instant(nanoseconds: 1_000_000_000_000)

    private func makeStore(_ change: (inout TraceStore.Settings) -> Void = { _ in }) -> TraceStore {
        var settings = TraceStore.Settings()
        change(&settings)
        return TraceStore(folder: folder.path + "/traces", settings: settings)
    }

    private func after(_ seconds: Int64) -> UnixTime { UnixTime(nanoseconds: Story.noon.nanoseconds + seconds * 1_000_000_000) }

    @discardableResult
    private func put(_ store: TraceStore, _ stories: Story..., at seconds: Int64 = 1) -> TraceStore.IngestOutcome {
        store.ingest(stories.flatMap(\.batches), now: now + .seconds(seconds), wall: after(seconds))
    }

    @Test func listsAndShowsAnOrder() throws {
        let store = makeStore()
        #expect(put(store, .order()) == .stored(spans: 13))
        let list = store.list()
        #expect(list.problems.isEmpty)
        let summary = try #require(list.traces.first)
        #expect(summary.traceID.description == "8f3ac100000000000000000000000001")
        #expect(summary.route == "POST /orders")
        #expect(summary.status == 201)
        #expect(summary.duration == .milliseconds(362))
        #expect(summary.started == Story.noon)
        #expect(summary.services == ["gateway", "orders", "inventory", "ledger"])
        #expect(summary.attempts == 2)
        #expect(summary.flags == [])
        #expect(summary.tiers.map { Int(($0.share * 100).rounded()) } == [1, 7, 84])
        #expect(summary.note == "1 retry inventory")
        #expect(summary.isComplete)

        let trace = try store.show("8f3ac1")
        #expect(trace.summary == summary)
        #expect(trace.nodes.count == 13)
        #expect(trace.why == "retries cost 75ms (21%); ledger took 239ms (66%)")
        let failed = trace.nodes[6].span
        #expect(failed.origin == Story.inventory.origin)
        #expect(failed.integer(.httpResponseStatusCode) == 503)
        #expect(try store.show("last").traceID == summary.traceID)
        #expect(try store.show("8F3AC100000000000000000000000001").traceID == summary.traceID)
    }

    /// A handler that lets go of a call, since another one has failed, is no client that left.
    @Test func onlyAtTheEdgeHasAClientLeft() throws {
        let store = makeStore()
        var story = Story.short(6, name: "POST /orders")
        story.add(Story.orders, .server, 2, under: 1, 1, 9) { $0.name("POST /orders") }
        story.call(Story.orders, to: Story.ledger, 3, under: 2, 2, 5)
        story.add(Story.orders, .attempt, 4, under: 3, 2, 5) { $0.add(ResponseFlag.downstreamClosed) }
        put(store, story)
        #expect(store.list().traces.first?.flags == [])
        var left = Story(7, begin: 1_000)
        left.add(Story.gateway, .gateway, 1, under: nil, 0, 5, status: .error) { $0.add(ResponseFlag.downstreamClosed) }
        put(store, left)
        #expect(store.list().traces.first?.flags == ["DC"])
    }

    @Test func aRestartedDaemonSeesWhatWasStored() throws {
        put(makeStore(), .order())
        let again = makeStore()
        #expect(try again.show("last").nodes.count == 13)
        put(again, .short(5, begin: 1_000))
        #expect(again.list().traces.map(\.route) == ["GET /catalog", "POST /orders"])
    }

    @Test func aFolderIsWrittenToByOneAlone() throws {
        let first = makeStore()
        put(first, .order())
        let second = makeStore()
        guard case .failed(let reason) = put(second, .short(7)) else {
            Issue.record("two write to one folder")
            return
        }
        #expect(reason == "\(first.folder) is written to by another mesh: give each its own traces.store.path")
        // Reading disturbs nobody.
        #expect(try second.show("last").nodes.count == 13)
        first.close()
        #expect(put(second, .short(7), at: 100) == .stored(spans: 1))
    }

    @Test func goesOnInAnotherFolder() throws {
        let store = makeStore()
        put(store, .order())
        let old = store.folder
        store.setFolder(folder.path + "/elsewhere/traces")
        #expect(store.list().traces.isEmpty && store.status.files == 0)
        #expect(put(store, .short(7), at: 2) == .stored(spans: 1))
        #expect(store.list().traces.map(\.traceID.high) == [7])
        store.setFolder(old)
        #expect(store.list().traces.map(\.route) == ["POST /orders"])
        #expect(put(store, .short(8), at: 3) == .stored(spans: 1))
        #expect(store.list().traces.count == 2)
    }

    @Test func saysWhenThereIsNoOneTrace() throws {
        let store = makeStore()
        #expect(throws: TraceLookupError.empty) { try store.show("last") }
        #expect(throws: TraceLookupError.notFound("ab")) { try store.show("ab") }
        #expect(throws: TraceLookupError.notAnID("xyz")) { try store.show("xyz") }
        #expect(throws: TraceLookupError.notAnID("")) { try store.show("") }
        put(store, .short(0x8f3a_0000_0000_0000), .short(0x8f3b_0000_0000_0000, begin: 5), .short(0x9000_0000_0000_0000))
        let error = #expect(throws: TraceLookupError.self) { try store.show("8f3") }
        guard case .ambiguous("8f3", let fitting)? = error else {
            Issue.record("expected an ambiguity, got \(String(describing: error))")
            return
        }
        #expect(fitting.map { $0.traceID.description.prefix(4) } == ["8f3b", "8f3a"])
        #expect(error?.description.contains("8f3b") == true)
        #expect(try store.show("8f3a").traceID.high == 0x8f3a_0000_0000_0000)
        #expect(throws: TraceLookupError.notFound("8f3c")) { try store.show("8f3c") }
    }

    @Test(arguments: 0..<30 as Range<UInt64>)
    func spansMayComeInAnyOrderAndPortion(seed: UInt64) throws {
        var random = RandomSource(seed: seed)
        let expected = makeStore()
        put(expected, .order())
        let whole = try expected.show("last")
        expected.close()
        try FileManager.default.removeItem(atPath: expected.folder)

        var batches = Story.order().batches.shuffled(using: &random)
        // Between some of them the daemon restarts, or forgets.
        var store = makeStore { $0.rememberedTraces = 1 }
        var second: Int64 = 1
        while !batches.isEmpty {
            let portion = Array(batches.prefix(1 + random.next(below: 5)))
            batches.removeFirst(portion.count)
            guard case .stored = store.ingest(portion, now: now, wall: after(second)) else {
                Issue.record("not stored")
                return
            }
            second += 1
            if random.next(below: 4) == 0 { store = makeStore() }
            if random.next(below: 4) == 0 { put(store, .short(UInt64(second) + 100, begin: -10_000)) }
        }
        let late = try store.show("8f3ac1")
        #expect(late.nodes == whole.nodes)
        #expect(late.summary == whole.summary)
    }

    @Test func marksWhatIsNotAllThere() throws {
        let store = makeStore()
        let story = Story.order()
        store.ingest(Array(story.batches.dropLast()), now: now, wall: after(1))
        #expect(store.list().traces.first?.isComplete == false)
        #expect(store.list().traces.first?.note == "1 retry inventory, incomplete")
        store.ingest([story.batches[12]], now: now, wall: after(2))
        #expect(store.list().traces.first?.isComplete == true)
    }

    static let filters: [(String, [UInt64])] = [
        ("", [1, 2, 3, 4]),
        (#"route:"POST /orders""#, [1]),
        ("route:/orders", [1]),
        ("route:/cat*", [2, 3]),
        ("route:GET*", [2, 3, 4]),
        ("route:orders", []),
        ("route:[GET*", []),
        ("time>300ms", [1, 4]),
        ("time<=10ms", [2]),
        ("status>=500", [3]),
        ("status:2xx", [1, 2]),
        ("not status:2xx", [3, 4]),
        ("status<500", [1, 2]),
        ("attempts>1", [1]),
        ("attempts:0", [2, 3, 4]),
        ("service:ledger", [1]),
        ("service:ledge", []),
        ("tier:edge", [1, 2, 3, 4]),
        ("flag:UT", [4]),
        ("flag:UT or attempts>1", [1, 4]),
        ("not (flag:UT or attempts>1) status:200", [2]),
        ("id:0000000000000003", [3]),
    ]

    @Test(arguments: filters)
    func selects(text: String, expected: [UInt64]) throws {
        let store = makeStore()
        var unanswered = Story(4, begin: 4)
        unanswered.add(Story.gateway, .gateway, 1, under: nil, 0, 500, status: .error) { span in
            span.name("GET /slow/**")
            span.add(.upstreamTimeout)
        }
        put(store, .order(1, begin: 1), .short(2, begin: 2), .short(3, begin: 3, duration: 20, status: 503), unanswered)
        let found = store.list(try TraceQuery(text))
        #expect(found.problems.isEmpty)
        #expect(found.traces.map(\.traceID.high).sorted() == expected)
    }

    @Test func listsTheLatestFirstWithinLimitAndTime() {
        let store = makeStore()
        for number in 1...20 as ClosedRange<UInt64> { put(store, .short(number, begin: Int64(number) * 1_000)) }
        #expect(store.list(limit: 3).traces.map(\.traceID.high) == [20, 19, 18])
        #expect(store.list(since: after(18)).traces.map(\.traceID.high) == [20, 19, 18])
    }

    @Test func comparesWithOthersOfItsRoute() throws {
        let store = makeStore()
        for number in 1...100 as ClosedRange<UInt64> { put(store, .short(number, duration: Double(number))) }
        #expect(try store.show("0000000000000063").comparison.slowerThan == 98.0 / 99.0)
        #expect(try store.show("0000000000000063").why.hasPrefix("slower than 98.9% of this route"))
        #expect(try store.show("0000000000000063").comparison.services["gateway"].map { $0 > 0.9 } == true)
    }

    @Test func tooFewOthersAreNoComparison() throws {
        let store = makeStore()
        for number in 1...15 as ClosedRange<UInt64> { put(store, .short(number)) }
        #expect(try store.show("last").comparison == TraceComparison())
    }

    // MARK: Files

    @Test func turnsFilesByTheHourAndFindsTracesAcrossThem() throws {
        let store = makeStore { $0.rememberedTraces = 1_000 }
        let order = Story.order(7, begin: 3_599_000)
        store.ingest(Array(order.batches.prefix(6)), now: now, wall: after(3_599))
        put(store, .short(8, begin: 3_600_000), at: 3_600)
        store.ingest(Array(order.batches.dropFirst(6)), now: now, wall: after(3_601))
        #expect(folder.traceFiles.count == 2)
        // Late spans went where their trace began: one filter sees all of it.
        #expect(store.list(try TraceQuery("attempts>1 status:201 service:ledger")).traces.map(\.traceID.high) == [7])
        #expect(try store.show("last").traceID.high == 8)

        store.close()
        let forgetful = makeStore()
        forgetful.ingest(Array(Story.order(9, begin: 7_190_000).batches.prefix(6)), now: now, wall: after(7_190))
        forgetful.close()
        let reopened = makeStore()
        put(reopened, .short(10), at: 7_200)
        reopened.ingest(Array(Story.order(9, begin: 7_190_000).batches.dropFirst(6)), now: now, wall: after(7_201))
        #expect(try reopened.show("0000000000000009").nodes.count == 13)
        #expect(reopened.list(limit: 10).traces.filter { $0.traceID.high == 9 }.count == 1)
    }

    @Test func dropsFilesThatHaveHadTheirTime() throws {
        let store = makeStore { $0.retention = Retention(age: .seconds(7_200)) }
        for hour in 0..<6 as Range<Int64> {
            put(store, .short(UInt64(hour) + 1, begin: hour * 3_600_000), at: hour * 3_600)
        }
        #expect(store.list().traces.map(\.traceID.high) == [6, 5, 4, 3])
        #expect(folder.traceFiles.count == 4)
        #expect(store.status.files == 4)
    }

    @Test func dropsTheOldestFilesOverTheBound() {
        let store = makeStore { $0.retention = Retention(bytes: 4 << 20) }
        var id: UInt64 = 1
        for second in 0..<40 as Range<Int64> {
            var batches: [SpanBatch] = []
            for _ in 0..<300 {
                var story = Story(id, begin: second * 1_000)
                story.add(Story.gateway, .gateway, 1, under: nil, 0, 5) { $0.add(.urlPath, String(repeating: "x", count: 900)) }
                batches += story.batches
                id += 1
            }
            #expect(store.ingest(batches, now: now, wall: after(second)) == .stored(spans: 300))
        }
        #expect(store.status.bytes <= 6 << 20)
        #expect(store.status.storedSpans == 12_000)
        #expect(store.list(limit: 1).traces.first?.traceID.high == id - 1)
        #expect(throws: TraceLookupError.self) { try store.show("00000000000000010000000000000001") }
    }

    // MARK: When it does not work

    @Test func aFullDiskIsToldAndStoringResumes() throws {
        let store = makeStore()
        put(store, .order())
        try store.configureWriter("PRAGMA max_page_count = 1")
        var big = Story(2)
        for span in 1...100 as ClosedRange<UInt64> {
            big.add(Story.gateway, .internal, span, under: nil, 0, 1) { $0.add(.urlPath, String(repeating: "x", count: 1_000)) }
        }
        guard case .failed(let reason) = put(store, big, at: 2) else {
            Issue.record("stored on a full disk")
            return
        }
        #expect(reason.contains("disk is full"))
        #expect(store.status.failure?.reason == reason)
        #expect(store.status.failure?.since == after(2))
        // What was there is still there.
        #expect(try store.show("last").nodes.count == 13)
        // Not tried again at once, then it works without a word.
        try store.configureWriter("PRAGMA max_page_count = 100000")
        #expect(store.ingest(big.batches, now: now + .seconds(2), wall: after(2)) == .failed(reason: reason))
        #expect(put(store, big, at: 4) == .stored(spans: 100))
        #expect(store.status.failure == nil)
        #expect(store.list().traces.count == 2)
    }

    @Test func aFolderThatCannotBeMadeIsToldAndStoringResumes() throws {
        let store = makeStore()
        #expect(FileManager.default.createFile(atPath: folder.path + "/traces", contents: Data()))
        guard case .failed = put(store, .order()) else {
            Issue.record("stored in a file")
            return
        }
        #expect(store.list().traces.isEmpty)
        #expect(store.status.failure != nil)
        try FileManager.default.removeItem(atPath: folder.path + "/traces")
        #expect(put(store, .order(), at: 9) == .stored(spans: 13))
    }

    @Test func aFolderThatWasTakenAwayIsMadeAgain() throws {
        let store = makeStore()
        put(store, .order(1))
        try FileManager.default.removeItem(atPath: folder.path + "/traces")
        #expect(store.list().traces.isEmpty)
        #expect(put(store, .order(2), at: 2) == .stored(spans: 13))
        #expect(try store.show("last").traceID.high == 2)
    }

    @Test(arguments: [true, false])
    func aDamagedFileIsMovedAside(whileOpen: Bool) throws {
        var store = makeStore()
        put(store, .order(1))
        if !whileOpen { store.close() }
        let file = try #require(folder.traceFiles.first)
        let path = folder.path + "/traces/" + file
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.write(contentsOf: Data(repeating: 0x5a, count: 40_000))
        try handle.close()
        if whileOpen { try? FileManager.default.removeItem(atPath: path + "-wal") }
        if !whileOpen { store = makeStore() }
        #expect(store.list().traces.isEmpty)
        if !whileOpen { #expect(!store.list().problems.isEmpty) }
        // A few writes until the damage is met and has been waited out.
        var outcomes: [TraceStore.IngestOutcome] = []
        for attempt in 0..<40 as Range<Int64> where outcomes.last != .stored(spans: 13) || !store.list().problems.isEmpty {
            outcomes.append(put(store, .order(UInt64(attempt) + 2), at: 10 * (attempt + 1)))
        }
        #expect(outcomes.last == .stored(spans: 13))
        #expect(store.list().problems.isEmpty)
        // An open file may be healed from its log, a closed one may not.
        #expect(whileOpen || store.status.damaged?.hasSuffix(".damaged") == true)
        #expect(folder.traceFiles.count == 1)
    }

    /// What a killed process leaves is what the files say at that moment.
    @Test func whatWasCommittedOutlivesAKill() throws {
        let store = makeStore()
        for number in 1...10 as ClosedRange<UInt64> {
            put(store, .order(number, begin: Int64(number)))
            let grave = folder.path + "/grave-\(number)"
            try FileManager.default.copyItem(atPath: store.folder, toPath: grave)
            let heir = TraceStore(folder: grave)
            #expect(heir.list().traces.map(\.traceID.high) == Array((1...number).reversed()))
            #expect(try heir.show("last").nodes.count == 13)
            #expect(put(heir, .short(99)) == .stored(spans: 1))
        }
    }

    @Test func isReadWhileItIsWritten() async {
        let store = makeStore { $0.retention = Retention(bytes: 2 << 20) }
        let (now, noon) = (now, Story.noon)
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                (1...60 as ClosedRange<UInt64>).allSatisfy { number in
                    let wall = UnixTime(nanoseconds: noon.nanoseconds + Int64(number) * 600_000_000_000)
                    let stories = (0..<20 as Range<UInt64>).flatMap { Story.order(number * 100 + $0).batches }
                    return store.ingest(stories, now: now, wall: wall) == .stored(spans: 260)
                }
            }
            for _ in 0..<2 {
                group.addTask {
                    (0..<30).allSatisfy { _ in
                        let list = store.list(limit: 5)
                        return list.problems.isEmpty && list.traces.allSatisfy { $0.spans == 13 }
                    }
                }
            }
            for await isSound in group { #expect(isSound) }
        }
    }

    @Test func aLimitIsALimit() {
        let store = makeStore()
        put(store, .short(1), .short(2))
        #expect(store.list(limit: 0).traces.isEmpty)
        #expect(store.list(limit: -1).traces.isEmpty)
        #expect(store.list(limit: 1).traces.count == 1)
    }

    @Test func garbageInABatchIsLeftOut() throws {
        let store = makeStore()
        var batch = Story.short(1).batches[0]
        batch.records += [70, 0, 1, 0x20] + [UInt8](repeating: 0xff, count: 66)
        #expect(store.ingest([batch], now: now, wall: after(1)) == .stored(spans: 1))
        #expect(store.status.unreadableSpans == 1)
        #expect(try store.show("last").nodes.count == 1)
    }
}

extension TemporaryFolder {
    var traceFiles: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path + "/traces")) ?? []).filter { $0.hasSuffix(".db") }.sorted()
    }
}
