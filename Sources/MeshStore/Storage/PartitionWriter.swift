import Foundation
import GRDB
import MeshModel
import MeshTelemetry

/// Writes groups of traces into one partition, each in a transaction.
final class PartitionWriter {
    let partition: Partition
    private var encoder = ChunkEncoder()
    private var processes: [SpanOrigin: Process] = [:]

    private struct Process {
        var row: Int64
        /// The last reading of its clocks that was written, with its row.
        var anchor: (row: Int64, anchor: TimeAnchor)?
    }

    /// Readings of both clocks that differ by less than this are one: the difference is how long a reading takes.
    private static let sameReading: Int64 = 100_000

    init(_ partition: Partition) throws {
        self.partition = partition
        encoder.names = try partition.writer.read { db in
            var names = NameTable()
            let texts = try String.fetchCursor(db, sql: "SELECT text FROM name ORDER BY id")
            while let text = try texts.next() { _ = names.add(text) }
            names.commit()
            return names
        }
    }

    /// Writes `traces` and returns what is now known of each. All or nothing.
    func write(
        _ traces: [IngestGroup.Trace], of group: IngestGroup, known: (TraceID) -> TraceIndex.Entry?
    ) throws -> [(TraceID, TraceIndex.Entry)] {
        let before = processes
        do {
            let results = try partition.writer.write { db in try write(traces, of: group, known: known, db) }
            encoder.names.commit()
            return results
        } catch {
            encoder.rollBack()
            processes = before
            throw error
        }
    }

    private func write(
        _ traces: [IngestGroup.Trace], of group: IngestGroup, known: (TraceID) -> TraceIndex.Entry?, _ db: Database
    ) throws -> [(TraceID, TraceIndex.Entry)] {
        var results: [(TraceID, TraceIndex.Entry)] = []
        results.reserveCapacity(traces.count)
        let statements = try Statements(db)
        for trace in traces {
            var entry: TraceIndex.Entry
            var isNew = false
            if let known = known(trace.id), known.partition == partition.name {
                entry = known
                entry.digest.merge(trace.digest)
            } else if let stored = try statements.find(trace.id, encoder.names.text) {
                entry = TraceIndex.Entry(partition: partition.name, row: stored.row, chunks: stored.chunks, digest: stored.digest)
                entry.digest.merge(trace.digest)
            } else {
                entry = TraceIndex.Entry(partition: partition.name, row: 0, chunks: 0, digest: trace.digest)
                isNew = true
            }
            let first = entry.chunks
            entry.chunks += Int64(trace.chunks.count)
            let values = entry.digest.values(&encoder.names)
            if isNew {
                entry.row = try statements.insert(trace.id, entry.chunks, values, db)
            } else {
                try statements.update(entry.row, entry.chunks, values)
            }
            for (offset, chunk) in trace.chunks.enumerated() {
                // A trace of more than a million chunks is cut short, not spilled into its neighbour.
                guard first + Int64(offset) < 1 << Partition.chunkBits else { break }
                let (anchor, base) = try anchorRow(chunk.anchor, of: group.origins[chunk.process], statements, db)
                let spans = chunk.records.withUnsafeBytes { encoder.encode($0, since: base) }
                try statements.chunk(id: entry.row << Partition.chunkBits | (first + Int64(offset)), anchor: anchor, spans)
                for tag in encoder.tags { try statements.tag(tag, entry.row) }
            }
            results.append((trace.id, entry))
        }
        for number in encoder.names.added { try statements.name(number, encoder.names.text(number)) }
        return results
    }

    private func anchorRow(
        _ anchor: TimeAnchor, of origin: SpanOrigin, _ statements: Statements, _ db: Database
    ) throws -> (row: Int64, base: Instant) {
        if processes[origin] == nil { processes[origin] = Process(row: try statements.process(origin, db)) }
        if let last = processes[origin]?.anchor, (anchor.offset &- last.anchor.offset).magnitude < UInt64(Self.sameReading) {
            return (last.row, last.anchor.instant)
        }
        let row = try statements.anchor(process: processes[origin]?.row ?? 0, anchor, db)
        processes[origin]?.anchor = (row, anchor)
        return (row, anchor.instant)
    }
}

extension TimeAnchor {
    /// Wall time less monotonic time: the same for all processes that read the same clocks.
    var offset: Int64 { wall.nanoseconds &- instant.nanoseconds }
}

/// The prepared statements of one connection.
private struct Statements {
    private let findTrace: Statement
    private let insertTrace: Statement
    private let updateTrace: Statement
    private let insertChunk: Statement
    private let insertTag: Statement
    private let insertName: Statement
    private let insertAnchor: Statement

    init(_ db: Database) throws {
        let columns = TraceDigest.columns
        let count = columns.split(separator: ",").count
        findTrace = try db.cachedStatement(sql: "SELECT id, chunks, \(columns) FROM trace WHERE identity = ?")
        insertTrace = try db.cachedStatement(
            sql: "INSERT INTO trace (identity, chunks, \(columns)) VALUES (?, ?\(String(repeating: ", ?", count: count)))")
        updateTrace = try db.cachedStatement(
            sql: "UPDATE trace SET chunks = ?, " + columns.split(separator: ", ").map { "\($0) = ?" }.joined(separator: ", ")
                + " WHERE id = ?")
        insertChunk = try db.cachedStatement(sql: "INSERT INTO chunk (id, anchor, spans) VALUES (?, ?, ?)")
        insertTag = try db.cachedStatement(sql: "INSERT OR IGNORE INTO tag (hash, trace) VALUES (?, ?)")
        insertName = try db.cachedStatement(sql: "INSERT INTO name (id, text) VALUES (?, ?)")
        insertAnchor = try db.cachedStatement(sql: "INSERT INTO anchor (process, instant, wall) VALUES (?, ?, ?)")
    }

    func find(_ id: TraceID, _ text: (Int) -> String) throws -> (row: Int64, chunks: Int64, digest: TraceDigest)? {
        guard let row = try Row.fetchOne(findTrace, arguments: [id.identity]) else { return nil }
        return (row[0], row[1], TraceDigest(row: row, from: 2, text: text))
    }

    func insert(_ id: TraceID, _ chunks: Int64, _ values: [DatabaseValue], _ db: Database) throws -> Int64 {
        insertTrace.setUncheckedArguments(StatementArguments([id.identity.databaseValue, chunks.databaseValue] + values))
        try insertTrace.execute()
        return db.lastInsertedRowID
    }

    func update(_ row: Int64, _ chunks: Int64, _ values: [DatabaseValue]) throws {
        updateTrace.setUncheckedArguments(StatementArguments([chunks.databaseValue] + values + [row.databaseValue]))
        try updateTrace.execute()
    }

    func chunk(id: Int64, anchor: Int64, _ spans: [UInt8]) throws {
        insertChunk.setUncheckedArguments([id, anchor, Data(spans)])
        try insertChunk.execute()
    }

    func tag(_ hash: Int64, _ trace: Int64) throws {
        insertTag.setUncheckedArguments([hash, trace])
        try insertTag.execute()
    }

    func name(_ number: Int, _ text: String) throws {
        insertName.setUncheckedArguments([number, text])
        try insertName.execute()
    }

    func anchor(process: Int64, _ anchor: TimeAnchor, _ db: Database) throws -> Int64 {
        insertAnchor.setUncheckedArguments([process, anchor.instant.nanoseconds, anchor.wall.nanoseconds])
        try insertAnchor.execute()
        return db.lastInsertedRowID
    }

    func process(_ origin: SpanOrigin, _ db: Database) throws -> Int64 {
        let (instance, clock) = (origin.instance.description, Int64(bitPattern: origin.clock))
        let known = try Int64.fetchOne(
            db, sql: "SELECT id FROM process WHERE instance = ? AND service = ? AND tier = ? AND version IS ? AND clock = ?",
            arguments: [instance, origin.service, origin.tier, origin.version, clock])
        if let known { return known }
        try db.execute(
            sql: "INSERT INTO process (instance, service, tier, version, clock) VALUES (?, ?, ?, ?, ?)",
            arguments: [instance, origin.service, origin.tier, origin.version, clock])
        return db.lastInsertedRowID
    }
}
