import Foundation
import GRDB
package import MeshModel
package import MeshTelemetry

/// The traces of a mesh on disk: one SQLite file per stretch of time, so that what is too old or too much is dropped as a file.
///
/// Nothing here throws at the one who brings spans: what cannot be stored is kept by the caller or counted, the reason is told by
/// `status`, and storing resumes by itself. Writing and reading may go on at once, from any thread; both block on the disk.
package final class TraceStore: Sendable {
    package struct Settings: Sendable {
        package var retention = Retention()
        /// How many traces are remembered for late spans.
        package var rememberedTraces = 32_768

        package init() {}
    }

    package enum IngestOutcome: Hashable, Sendable {
        case stored(spans: Int)
        /// Nothing of it was stored, and it may be brought again.
        case failed(reason: String)
    }

    /// Counters since the store was opened, and its state.
    package struct Status: Hashable, Sendable {
        package var storedSpans: UInt64 = 0
        package var unreadableSpans: UInt64 = 0
        package var files = 0
        package var bytes: Int64 = 0
        /// Nil while traces are stored.
        package var failure: StoreHealth.Failure?
        /// The last file that was moved aside because it was damaged.
        package var damaged: String?
    }

    private struct State {
        var settings: Settings
        /// Held from the first write on.
        var hold: FolderHold?
        var current: PartitionWriter?
        /// Written until the next turn of files, for the late spans of its traces.
        var previous: PartitionWriter?
        var index: TraceIndex
        var health = StoreHealth()
    }

    /// What readers want to know; guarded apart, so that they never wait for a write.
    private struct Known {
        var folder: String
        var files: [PartitionName] = []
        var storedSpans: UInt64 = 0
        var unreadableSpans: UInt64 = 0
        var failure: StoreHealth.Failure?
        var damaged: String?
        /// Files that a reader could not make sense of; looked at before the next write.
        var suspects: Set<PartitionName> = []
        /// How long answers took, by service.
        var latencies: [String: LatencyHistogram] = [:]
    }

    private struct Observers {
        var last = 0
        var all: [Int: @Sendable ([TraceID]) -> Void] = [:]
    }

    private let state: Guarded<State>
    private let known: Guarded<Known>
    private let observers = Guarded(Observers())
    /// Open files, for the next question.
    private let readers = Guarded<[PartitionName: PartitionReader]>([:])

    /// The folder is made at the first write; a store whose folder cannot be made is one that fails to store.
    package init(folder: String, settings: Settings = Settings()) {
        known = Guarded(Known(folder: folder))
        state = Guarded(State(settings: settings, index: TraceIndex(generation: settings.rememberedTraces)))
        refreshFiles()
    }

    // MARK: Writing

    /// Stores the batches in one transaction per file, and drops files that have had their time.
    @discardableResult
    package func ingest(_ batches: [SpanBatch], now: Instant = HostClock.now(), wall: UnixTime = HostClock.wall()) -> IngestOutcome {
        state.withLock { state in
            guard state.health.mayTry(now) else { return .failed(reason: state.health.failure?.reason ?? "waiting to try again") }
            let group = IngestGroup(batches)
            do {
                moveSuspectsAside(&state)
                try Self.turnFiles(&state, folder: folder, wall: wall)
                refreshFiles()
                try write(group, &state)
                state.health.stored()
                note(group)
                tell(group)
                dropExpired(&state, wall: wall)
                return .stored(spans: group.spans)
            } catch {
                // What was merged in memory is not what is on disk.
                state.index.removeAll()
                let reason = Self.reason(error)
                if Self.isDamage(error) { suspectOpenFiles(state) } else { Self.reopenLater(&state, after: error) }
                state.health.failed(reason, now: now, wall: wall)
                known.withLock { $0.failure = state.health.failure }
                return .failed(reason: reason)
            }
        }
    }

    /// Calls `observer` with the traces of every group that is stored, from the thread that stores it; returns what `forget` takes.
    package func observe(_ observer: @escaping @Sendable ([TraceID]) -> Void) -> Int {
        observers.withLock { observers in
            observers.last += 1
            observers.all[observers.last] = observer
            return observers.last
        }
    }

    package func forget(observer: Int) { observers.withLock { $0.all[observer] = nil } }

    private func tell(_ group: IngestGroup) {
        let observers = observers.withLock { Array($0.all.values) }
        guard !observers.isEmpty else { return }
        let ids = group.traces.map(\.id)
        for observer in observers { observer(ids) }
    }

    package var folder: String { known.withLock { $0.folder } }

    /// Stores elsewhere, and reads from there only; what is stored stays where it is.
    package func setFolder(_ folder: String) {
        state.withLock { state in
            guard folder != self.folder else { return }
            release(&state)
            state.health = StoreHealth()
            known.withLock { known in
                known.folder = folder
                known.files = []
                known.suspects = []
                known.failure = nil
            }
            refreshFiles()
        }
    }

    /// Changes what is kept, from the next write on.
    package func setRetention(_ retention: Retention) { state.withLock { $0.settings.retention = retention } }

    /// Ends the writing and folds the log in. A later write opens the files again.
    package func close() { state.withLock { release(&$0) } }

    private func release(_ state: inout State) {
        for writer in [state.previous, state.current].compactMap({ $0 }) { try? writer.partition.seal() }
        state.previous = nil
        state.current = nil
        state.index.removeAll()
        state.hold = nil
        for reader in readers.withLock({ readers in
            defer { readers = [:] }; return readers.values
        }) { reader.close() }
    }

    private func write(_ group: IngestGroup, _ state: inout State) throws {
        guard let current = state.current else { return }
        var late: [IngestGroup.Trace] = []
        var fresh: [IngestGroup.Trace] = []
        for trace in group.traces {
            if let previous = state.previous, state.index[trace.id]?.partition == previous.partition.name {
                late.append(trace)
            } else {
                fresh.append(trace)
            }
        }
        var entries: [(TraceID, TraceIndex.Entry)] = []
        if !late.isEmpty, let previous = state.previous { entries += try previous.write(late, of: group) { state.index[$0] } }
        if !fresh.isEmpty { entries += try current.write(fresh, of: group) { state.index[$0] } }
        for (id, entry) in entries { state.index.insert(entry, for: id) }
    }

    private func note(_ group: IngestGroup) {
        known.withLock { known in
            known.failure = nil
            known.storedSpans += UInt64(group.spans)
            known.unreadableSpans += UInt64(group.unreadable)
            for answer in group.answers where known.latencies.count < 1_024 || known.latencies[answer.service] != nil {
                known.latencies[answer.service, default: LatencyHistogram()].record(answer.duration)
            }
        }
    }

    /// Sees to it that `current` is open and neither too old nor too big.
    private static func turnFiles(_ state: inout State, folder: String, wall: UnixTime) throws {
        let seconds = wall.nanoseconds / 1_000_000_000
        // A file that was taken away would be written to until the end of days, and nobody could read it.
        if let current = state.current, !FileManager.default.fileExists(atPath: current.partition.path) {
            state.current = nil
            state.previous = nil
            state.index.removeAll()
            state.hold = nil
        }
        if state.hold == nil { state.hold = try FolderHold(folder) }
        if state.current == nil {
            let newest = names(in: folder).last
            let name = newest ?? PartitionName(created: seconds, number: 0)
            state.current = try PartitionWriter(Partition(opening: name, in: folder))
        }
        guard let current = state.current else { return }
        let size = Partition.size(of: current.partition.path)
        guard state.settings.retention.isFull(created: current.partition.name.created, bytes: size, now: wall) else { return }
        let last = current.partition.name
        // Names only grow, whatever the wall clock does.
        let name =
            seconds > last.created
            ? PartitionName(created: seconds, number: 0) : PartitionName(created: last.created, number: last.number + 1)
        let next = try PartitionWriter(Partition(opening: name, in: folder))
        try? state.previous?.partition.seal()
        state.previous = current
        state.current = next
    }

    private func dropExpired(_ state: inout State, wall: UnixTime) {
        let stored = known.withLock { $0.files }.map { Retention.Stored(name: $0, bytes: Partition.size(of: path(of: $0))) }
        let expired = state.settings.retention.expired(stored, now: wall)
        guard !expired.isEmpty else { return }
        if let previous = state.previous, expired.contains(previous.partition.name) {
            try? previous.partition.writer.close()
            state.previous = nil
        }
        for name in expired {
            forgetReader(of: name)
            try? Partition.remove(path(of: name))
        }
        refreshFiles()
    }

    // MARK: Failures

    private static func isDamage(_ error: any Error) -> Bool {
        guard let error = error as? DatabaseError else { return false }
        return [.SQLITE_CORRUPT, .SQLITE_NOTADB].contains(error.resultCode)
    }

    /// A file that was taken away or cannot be read is opened anew; for a full disk the connection stays good.
    private static func reopenLater(_ state: inout State, after error: any Error) {
        let code = (error as? DatabaseError)?.resultCode
        guard code != .SQLITE_FULL, code != .SQLITE_BUSY, code != .SQLITE_LOCKED else { return }
        try? state.current?.partition.writer.close()
        try? state.previous?.partition.writer.close()
        state.current = nil
        state.previous = nil
        state.hold = nil
    }

    /// A reader met something that is no trace file.
    func suspect(_ name: PartitionName, after error: any Error) {
        if Self.isDamage(error) { known.withLock { _ = $0.suspects.insert(name) } }
    }

    private func suspectOpenFiles(_ state: State) {
        let open = [state.current, state.previous].compactMap { $0?.partition.name }
        let suspects = open.isEmpty ? Self.names(in: folder).suffix(1) : open[...]
        known.withLock { $0.suspects.formUnion(suspects) }
    }

    /// Takes damaged files out of the way, so that the write that follows begins anew; the latest of them is kept for whoever wants
    /// to look.
    private func moveSuspectsAside(_ state: inout State) {
        let suspects = known.withLock { known in
            defer { known.suspects = [] }
            return known.suspects
        }
        guard !suspects.isEmpty else { return }
        for writer in [state.current, state.previous].compactMap({ $0 }) { try? writer.partition.writer.close() }
        state.current = nil
        state.previous = nil
        state.index.removeAll()
        let manager = FileManager.default
        for name in suspects.sorted() where manager.fileExists(atPath: path(of: name)) && !Self.isSound(path(of: name)) {
            for old in (try? manager.contentsOfDirectory(atPath: folder)) ?? [] where old.hasSuffix(".damaged") {
                try? manager.removeItem(atPath: folder + "/" + old)
            }
            let aside = path(of: name) + ".damaged"
            try? manager.moveItem(atPath: path(of: name), toPath: aside)
            for suffix in ["-wal", "-shm"] { try? manager.removeItem(atPath: path(of: name) + suffix) }
            known.withLock { $0.damaged = aside }
        }
        refreshFiles()
    }

    private static func isSound(_ path: String) -> Bool {
        guard let queue = try? DatabaseQueue(path: path) else { return false }
        let verdict = try? queue.read { db in try String.fetchOne(db, sql: "PRAGMA quick_check(1)") }
        try? queue.close()
        return verdict == "ok"
    }

    private static func reason(_ error: any Error) -> String {
        if let failure = error as? FolderHold.Failure { return failure.description }
        guard let error = error as? DatabaseError else { return "\(error.localizedDescription)" }
        return switch error.resultCode {
        case .SQLITE_FULL: FolderHold.Failure.full.description
        case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_CANTOPEN: FolderHold.Failure.unwritable.description
        case .SQLITE_IOERR: "the disk reports an error (\(error.message ?? "input/output"))"
        case .SQLITE_CORRUPT, .SQLITE_NOTADB: "a traces file is damaged; it is moved aside and a new one begun"
        default: "SQLite: \(error.message ?? "error \(error.resultCode.rawValue)")"
        }
    }

    // MARK: Files

    static func names(in folder: String) -> [PartitionName] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).compactMap { PartitionName(file: $0) }.sorted()
    }

    private func refreshFiles() { known.withLock { $0.files = Self.names(in: $0.folder) } }

    func reader(of name: PartitionName) throws -> PartitionReader {
        let known = readers.withLock { $0[name] }
        let path = path(of: name)
        if let known, known.path == path, known.isCurrent { return known }
        let reader = try PartitionReader(name, path: path)
        readers.withLock { $0[name] = reader }
        return reader
    }

    func forgetReader(of name: PartitionName) { readers.withLock { $0[name] = nil } }

    func path(of name: PartitionName) -> String { folder + "/" + name.file }

    /// The files that may hold traces since `time`, newest first.
    func fileNames(since time: UnixTime?) -> [PartitionName] {
        let all = known.withLock { $0.files }
        guard let time else { return all.reversed() }
        let seconds = time.nanoseconds / 1_000_000_000
        // A file ends where the next begins, but for late spans of its traces.
        let kept = all.indices.filter { $0 + 1 == all.count || all[$0 + 1].created >= seconds }
        return kept.map { all[$0] }.reversed()
    }

    /// The share of the service's answers, since the store was opened, that were faster; nil with too few to say.
    func rank(of duration: Timespan, service: String) -> Double? {
        known.withLock { known in
            guard let histogram = known.latencies[service], histogram.total >= 100 else { return nil }
            return histogram.rank(of: duration)
        }
    }

    package var status: Status {
        let (names, status) = known.withLock { known in
            (
                known.files,
                Status(
                    storedSpans: known.storedSpans, unreadableSpans: known.unreadableSpans, failure: known.failure, damaged: known.damaged)
            )
        }
        return names.reduce(into: status) { status, name in
            status.files += 1
            status.bytes += Partition.size(of: path(of: name))
        }
    }

    /// Runs a pragma on the connection that writes: how tests get a disk with a bound.
    package func configureWriter(_ sql: String) throws {
        try state.withLock { state in
            try state.current?.partition.writer.writeWithoutTransaction { db in try db.execute(sql: sql) }
        }
    }
}
