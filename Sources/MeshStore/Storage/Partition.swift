import Foundation
import GRDB
import MeshModel
import MeshTelemetry

/// The name of a partition's file: when it was begun, and which it is among those begun in that second.
struct PartitionName: Hashable, Comparable, Sendable {
    /// Unix seconds.
    var created: Int64
    var number: Int

    init(created: Int64, number: Int) {
        self.created = created
        self.number = number
    }

    /// `traces-1763712000-0.db`; nil for any other file.
    init?(file: String) {
        guard file.hasPrefix("traces-"), file.hasSuffix(".db") else { return nil }
        let parts = file.dropFirst(7).dropLast(3).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let created = Int64(parts[0]), let number = Int(parts[1]), created >= 0, number >= 0 else { return nil }
        self.init(created: created, number: number)
    }

    var file: String { "traces-\(created)-\(number).db" }

    static func < (left: PartitionName, right: PartitionName) -> Bool { (left.created, left.number) < (right.created, right.number) }
}

/// The file that a span of time is stored in: traces, and the chunks of records that each consists of.
///
/// A chunk is all spans of one trace that came in one batch (`ChunkFormat`). Its rowid is `trace << 20 | n`, so that the chunks of
/// a trace lie together without an index. Texts are numbers into `name`; `tag` finds the traces of an application's attribute.
struct Partition {
    static let chunkBits: Int64 = 20
    static let schemaVersion = 2

    let name: PartitionName
    let path: String
    let writer: DatabaseQueue

    /// Opens the file for writing, and makes it if it is not there.
    init(opening name: PartitionName, in folder: String) throws {
        self.name = name
        path = folder + "/" + name.file
        var configuration = Configuration()
        configuration.label = "mesh.traces"
        configuration.journalMode = .wal
        configuration.busyMode = .timeout(2)
        configuration.prepareDatabase { db in
            // WAL and NORMAL: a kill loses nothing committed; a power cut may lose the last commits but never corrupts.
            try db.execute(sql: "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384")
        }
        writer = try DatabaseQueue(path: path, configuration: configuration)
        try writer.write { db in
            let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
            if version == 0 { try Self.createSchema(db) }
        }
    }

    /// Opens a file to read from it, also while another connection writes to it.
    static func reading(_ path: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(2)
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    private static func createSchema(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
                CREATE TABLE process (
                    id INTEGER PRIMARY KEY, instance TEXT NOT NULL, service TEXT NOT NULL, tier TEXT NOT NULL, version TEXT,
                    clock INTEGER NOT NULL
                );
                CREATE TABLE anchor (
                    id INTEGER PRIMARY KEY, process INTEGER NOT NULL, instant INTEGER NOT NULL, wall INTEGER NOT NULL
                );
                CREATE TABLE trace (
                    id INTEGER PRIMARY KEY,
                    started INTEGER NOT NULL, duration INTEGER NOT NULL, status INTEGER, attempts INTEGER NOT NULL,
                    flags INTEGER NOT NULL, errors INTEGER NOT NULL, spans INTEGER NOT NULL, longest INTEGER NOT NULL,
                    ended INTEGER NOT NULL, root INTEGER, route INTEGER NOT NULL, parentless INTEGER NOT NULL,
                    retries INTEGER NOT NULL, services INTEGER NOT NULL, tiers INTEGER NOT NULL, versions INTEGER NOT NULL,
                    chunks INTEGER NOT NULL, identity BLOB NOT NULL
                );
                CREATE UNIQUE INDEX trace_identity ON trace (identity);
                CREATE INDEX trace_route ON trace (route, duration);
                CREATE TABLE chunk (id INTEGER PRIMARY KEY, anchor INTEGER NOT NULL, spans BLOB NOT NULL);
                CREATE TABLE tag (hash INTEGER NOT NULL, trace INTEGER NOT NULL, PRIMARY KEY (hash, trace)) WITHOUT ROWID;
                PRAGMA user_version = \(schemaVersion);
                """)
    }

    /// Ends the writing: the log is folded in, so that the file stands alone and may be read and removed as one.
    func seal() throws {
        try writer.writeWithoutTransaction { db in
            _ = try db.checkpoint(.truncate)
            try db.execute(sql: "PRAGMA journal_mode = DELETE")
        }
        try writer.close()
    }

    static func size(of path: String) -> Int64 {
        ["", "-wal", "-journal"].reduce(0) { sum, suffix in
            let attributes = try? FileManager.default.attributesOfItem(atPath: path + suffix)
            return sum + ((attributes?[.size] as? NSNumber)?.int64Value ?? 0)
        }
    }

    static func remove(_ path: String) throws {
        try FileManager.default.removeItem(atPath: path)
        for suffix in ["-wal", "-shm", "-journal"] { try? FileManager.default.removeItem(atPath: path + suffix) }
    }
}
