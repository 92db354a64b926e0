import Foundation
import GRDB
import MeshModel
import MeshTelemetry

/// Writes groups of traces into one partition, each in a transaction.
final class PartitionWriter {
    let partition: Partition
    /// Row ids of processes, which never change once committed.
    private var processes: [SpanOrigin: Int64] = [:]

    init(_ partition: Partition) { self.partition = partition }

    /// Writes `traces` and returns what is now known of each. All or nothing.
    func write(
        _ traces: [IngestGroup.Trace], of group: IngestGroup, known: (TraceID) -> TraceIndex.Entry?
    ) throws -> [(TraceID, TraceIndex.Entry)] {
        var results: [(TraceID, TraceIndex.Entry)] = []
        results.reserveCapacity(traces.count)
        var added: [SpanOrigin: Int64] = [:]
        try partition.writer.write { db in
            let statements = try Statements(db)
            func row(of origin: SpanOrigin) throws -> Int64 {
                if let known = processes[origin] ?? added[origin] { return known }
                let row = try statements.process(origin, db)
                added[origin] = row
                return row
            }
            for trace in traces {
                var entry: TraceIndex.Entry
                var isNew = false
                if let known = known(trace.id), known.partition == partition.name {
                    entry = known
                    entry.digest.merge(trace.digest)
                } else if let stored = try statements.find(trace.id) {
                    entry = TraceIndex.Entry(partition: partition.name, row: stored.row, chunks: stored.chunks, digest: stored.digest)
                    entry.digest.merge(trace.digest)
                } else {
                    entry = TraceIndex.Entry(partition: partition.name, row: 0, chunks: 0, digest: trace.digest)
                    isNew = true
                }
                let first = entry.chunks
                entry.chunks += Int64(trace.chunks.count)
                if isNew {
                    entry.row = try statements.insert(trace.id, entry, db)
                } else {
                    try statements.update(entry)
                }
                for (offset, chunk) in trace.chunks.enumerated() {
                    // A trace of more than a million chunks is cut short, not spilled into its neighbour.
                    guard first + Int64(offset) < 1 << Partition.chunkBits else { break }
                    try statements.chunk(
                        id: entry.row << Partition.chunkBits | (first + Int64(offset)), process: try row(of: group.origins[chunk.process]),
                        chunk)
                }
                results.append((trace.id, entry))
            }
        }
        processes.merge(added) { _, new in new }
        return results
    }
}

/// The prepared statements of one connection.
private struct Statements {
    private let findTrace: Statement
    private let insertTrace: Statement
    private let updateTrace: Statement
    private let insertChunk: Statement

    init(_ db: Database) throws {
        let columns = TraceDigest.columns
        let count = columns.split(separator: ",").count
        findTrace = try db.cachedStatement(sql: "SELECT id, chunks, \(columns) FROM trace WHERE identity = ?")
        insertTrace = try db.cachedStatement(
            sql: "INSERT INTO trace (identity, chunks, \(columns)) VALUES (?, ?\(String(repeating: ", ?", count: count)))")
        updateTrace = try db.cachedStatement(
            sql: "UPDATE trace SET chunks = ?, " + columns.split(separator: ", ").map { "\($0) = ?" }.joined(separator: ", ")
                + " WHERE id = ?")
        insertChunk = try db.cachedStatement(sql: "INSERT INTO chunk (id, process, instant, wall, records) VALUES (?, ?, ?, ?, ?)")
    }

    func find(_ id: TraceID) throws -> (row: Int64, chunks: Int64, digest: TraceDigest)? {
        guard let row = try Row.fetchOne(findTrace, arguments: [id.identity]) else { return nil }
        return (row[0], row[1], TraceDigest(row: row, from: 2))
    }

    func insert(_ id: TraceID, _ entry: TraceIndex.Entry, _ db: Database) throws -> Int64 {
        insertTrace.setUncheckedArguments(
            StatementArguments([id.identity.databaseValue, entry.chunks.databaseValue] + entry.digest.values))
        try insertTrace.execute()
        return db.lastInsertedRowID
    }

    func update(_ entry: TraceIndex.Entry) throws {
        updateTrace.setUncheckedArguments(
            StatementArguments([entry.chunks.databaseValue] + entry.digest.values + [entry.row.databaseValue]))
        try updateTrace.execute()
    }

    func chunk(id: Int64, process: Int64, _ chunk: IngestGroup.Chunk) throws {
        insertChunk.setUncheckedArguments([
            id, process, chunk.anchor.instant.nanoseconds, chunk.anchor.wall.nanoseconds, Data(chunk.records),
        ])
        try insertChunk.execute()
    }

    func process(_ origin: SpanOrigin, _ db: Database) throws -> Int64 {
        let instance = origin.instance.description
        if let known = try Int64.fetchOne(
            db, sql: "SELECT id FROM process WHERE instance = ? AND service = ?", arguments: [instance, origin.service])
        {
            return known
        }
        try db.execute(
            sql: "INSERT INTO process (instance, service, tier, version) VALUES (?, ?, ?, ?)",
            arguments: [instance, origin.service, origin.tier, origin.version])
        return db.lastInsertedRowID
    }
}
