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
    /// Where traces are stored unless mesh.yaml names another folder.
    let standardFolder: String

    var store: TraceStore { intake.store }

    /// Does from now on what mesh.yaml says of traces.
    func follow(_ traces: MeshDocument.Traces) {
        collector.setKeeping(traces.keeping)
        store.setFolder(traces.storePath ?? standardFolder)
        store.setRetention(Retention(age: traces.storedFor, bytes: traces.storedAtMost))
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
    /// The most traces that one file may have.
    static let largestExport = 1_000

    func list(matching text: String, limit: Int, since: UnixTime?) async throws -> [TraceSummary] {
        let query = try query(text)
        return await reading { store in
            store.list(query, since: since, limit: min(limit, Self.longestList)).traces.map { TraceSummary($0) }
        }
    }

    func search(matching text: String, limit: Int, since: UnixTime?) async throws -> [TraceSummary] {
        let query = try query(text)
        return await reading { store in
            let found = store.search(query, since: since, limit: min(limit, Self.longestList))
            return found.list.traces.map { TraceSummary($0, matched: found.spans[$0.traceID] ?? []) }
        }
    }

    func show(_ reference: String, isDeskewed: Bool) async throws -> TraceDetail {
        let found = await reading { store in Result { () throws(TraceLookupError) in try store.show(reference) } }
        do {
            return TraceDetail(try found.get(), isDeskewed: isDeskewed)
        } catch {
            throw Problem(error)
        }
    }

    /// With what was logged under the spans.
    func joining(_ sources: [LogSource], to detail: TraceDetail) async -> TraceDetail {
        await reading { _ -> TraceDetail in
            var joined = detail
            TraceLogs(sources: sources).join(&joined)
            return joined
        }
    }

    /// What was logged for one trace.
    func logs(of detail: TraceDetail, from sources: [LogSource]) async -> AsyncStream<LogLine> {
        let lines = await reading { _ -> [LogLine] in
            guard let start = detail.spans.map(\.startUnixNano).min(),
                let end = detail.spans.map({ $0.startUnixNano + $0.durationNS }).max()
            else { return [] }
            return TraceLogs(sources: sources).lines(
                of: detail.traceID, from: Timestamp(nanoseconds: start), to: Timestamp(nanoseconds: end))
        }
        return AsyncStream { continuation in
            for line in lines { continuation.yield(line) }
            continuation.finish()
        }
    }

    func statistics(matching text: String, since: UnixTime?) async throws -> TraceStatisticsReport {
        let request = try request(text)
        let grouping = request.grouping ?? TraceGrouping(by: .route, [.quantile(0.5), .quantile(0.9), .quantile(0.99), .most])
        return await reading { store in TraceStatisticsReport(store.statistics(request.query, by: grouping, since: since)) }
    }

    func path(matching text: String, since: UnixTime?) async throws -> TracePathReport {
        let query = try query(text)
        return await reading { store in TracePathReport(store.path(query, since: since)) }
    }

    func compare(matching text: String, with other: String?, since: UnixTime?) async throws -> TraceComparisonReport {
        let query = try query(text)
        let second = try other.map { try self.query($0) }
        return await reading { store in
            TraceComparisonReport(store.compare(query, with: second, since: since), names: other.map { (text, $0) })
        }
    }

    func export(_ references: [String], matching text: String?, since: UnixTime?, limit: Int, as format: String) async throws -> [UInt8] {
        guard let format = TraceFormat(rawValue: format) else {
            throw Problem(
                title: "there is no format '\(format)'", status: 400,
                detail: "formats: " + TraceFormat.allCases.map(\.rawValue).joined(separator: ", "), hint: "mesh traces export --help")
        }
        let query = try text.map { try self.query($0) }
        let found = await reading { store in
            Result { () throws(TraceLookupError) in
                var ids: [TraceID] = []
                for reference in references { ids.append(try store.find(reference)) }
                if let query { ids += store.list(query, since: since, limit: min(limit, Self.largestExport)).traces.map(\.traceID) }
                return format.encode(store.spans(of: ids))
            }
        }
        do { return try found.get() } catch { throw Problem(error) }
    }

    func take(_ bytes: [UInt8]) async throws -> TraceImportReport {
        let spans: [DecodedSpan]
        do {
            spans = try OTLPJSON.decode(bytes)
        } catch {
            throw Problem(title: "the traces can't be read", status: 400, detail: error.description, hint: "mesh traces import --help")
        }
        for batch in SpanImport.batches(spans) {
            guard intake.accept(batch) else {
                throw Problem(
                    title: "the trace store has no room at the moment", status: 503, detail: store.status.failure?.reason, hint: "mesh ps")
            }
        }
        await reading { _ in }
        return TraceImportReport(spans: spans.count, traces: Set(spans.map(\.traceID.description)).sorted())
    }

    /// Traces as they come, each once and as whole as it is by then; ends when nobody reads any more.
    func tail(matching text: String) throws -> AsyncStream<TraceTailEvent> {
        let follower = TraceFollower(answers: self, query: try query(text))
        return AsyncStream(unfolding: { await follower.next() }, onCancel: { follower.end() })
    }

    // MARK: Queries

    private func request(_ text: String) throws -> TraceRequest {
        do {
            return try TraceRequest(text)
        } catch {
            throw Problem(error, in: text)
        }
    }

    private func query(_ text: String) throws -> TraceQuery {
        do {
            return try TraceQuery(text)
        } catch {
            throw Problem(error, in: text)
        }
    }

    /// Reading blocks on the disk, so it leaves the threads of the daemon's tasks alone.
    func reading<Value: Sendable>(_ work: @escaping @Sendable (TraceStore) -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                catchUp()
                continuation.resume(returning: work(store))
            }
        }
    }
}

/// The traces that one who follows has still to be shown, told by the store's thread and asked for by the follower's.
private final class SharedTail: Sendable {
    private let tail = Guarded(TraceTail())
    private let query: Guarded<FollowedQuery>

    init(_ query: TraceQuery) { self.query = Guarded(FollowedQuery(query)) }

    func stored(_ ids: [TraceID]) { tail.withLock { $0.stored(ids, now: HostClock.now()) } }

    func settled(limit: Int) -> (ids: [TraceID], dropped: Int) {
        tail.withLock { ($0.settled(now: HostClock.now(), limit: limit), $0.takeDropped()) }
    }

    /// Those of them that are to be shown. Blocks on the disk.
    func matching(_ ids: [TraceID], in store: TraceStore) -> [TraceID] {
        query.withLock { store.matching(&$0, among: ids, now: HostClock.now()) }
    }
}

/// One who follows the traces.
private final class TraceFollower: Sendable {
    private let answers: TraceAnswers
    private let tail: SharedTail
    private let ready = Guarded<[TraceTailEvent]>([])
    private let observer: Int
    /// How often it is looked whether something is to be shown; how many traces are held against the query at once, and how many
    /// are shown.
    private static let interval = Duration.milliseconds(200)
    private static let mostJudged = 4_000
    private static let mostShown = 250
    /// A line without a trace shows a reader that is gone.
    private static let signOfLife = 25

    init(answers: TraceAnswers, query: TraceQuery) {
        self.answers = answers
        tail = SharedTail(query)
        observer = answers.store.observe { [tail] ids in tail.stored(ids) }
    }

    func end() { answers.store.forget(observer: observer) }

    deinit { end() }

    func next() async -> TraceTailEvent? {
        var silence = 0
        while !Task.isCancelled {
            if let event = ready.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return event }
            if silence >= Self.signOfLife { return TraceTailEvent() }
            let (ids, dropped) = tail.settled(limit: Self.mostJudged)
            let (shown, passedOver) = await judge(ids)
            var events = shown.map { TraceTailEvent(trace: TraceSummary($0)) }
            if dropped + passedOver > 0 { events.append(TraceTailEvent(dropped: dropped + passedOver)) }
            guard events.isEmpty else {
                ready.withLock { $0 = events }
                continue
            }
            silence += 1
            guard (try? await Task.sleep(for: Self.interval)) != nil else { break }
        }
        end()
        return nil
    }

    /// What is to be shown of these, and how many more match.
    private func judge(_ ids: [TraceID]) async -> (shown: [StoredTraceSummary], passedOver: Int) {
        guard !ids.isEmpty else { return ([], 0) }
        return await answers.reading { [tail] store -> ([StoredTraceSummary], Int) in
            let matching = tail.matching(ids, in: store)
            return (store.summaries(of: Array(matching.prefix(Self.mostShown))), max(0, matching.count - Self.mostShown))
        }
    }
}

extension Problem {
    /// The query, and below it a mark where it went wrong.
    fileprivate init(_ error: TraceQueryError, in text: String) {
        let shown = String(text.map { $0.isNewline ? " " : $0 })
        self.init(
            type: "trace-query", title: "the query can't be read", status: 400,
            detail: "column \(error.column): \(error.message)",
            hint: "mesh traces list --help",
            lines: [shown, String(repeating: " ", count: max(0, error.column - 1)) + "^"]
                + (error.allowed.isEmpty ? [] : ["allowed: " + error.allowed.joined(separator: ", ")]))
    }

    fileprivate init(_ error: TraceLookupError) {
        let status =
            switch error {
            case .notAnID: 400
            case .notFound, .empty: 404
            case .ambiguous: 409
            }
        self.init(type: "trace-lookup", title: "no such trace", status: status, detail: error.description, hint: "mesh traces list")
    }
}
