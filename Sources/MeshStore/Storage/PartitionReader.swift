import Foundation
import GRDB
import MeshModel
import MeshTelemetry

/// Reads from one partition, also while another connection writes to it; kept open from one question to the next.
final class PartitionReader: Sendable {
    let name: PartitionName
    let path: String
    private let file: FileIdentity?
    private let queue: DatabaseQueue
    private let state = Guarded(Texts())

    /// What was read of the tables that only grow.
    private struct Texts {
        /// By number; 0 is the empty text.
        var names = [""]
        var processes: [Int64: SpanOrigin] = [:]
    }

    init(_ name: PartitionName, path: String) throws {
        self.name = name
        self.path = path
        file = FileIdentity(path)
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(2)
        configuration.prepareDatabase { db in try db.execute(sql: "PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY") }
        queue = try DatabaseQueue(path: path, configuration: configuration)
    }

    /// Whether the path still leads to the file that was opened.
    var isCurrent: Bool { file != nil && FileIdentity(path) == file }

    func close() { try? queue.close() }

    func read<Result>(_ body: (PartitionView) throws -> Result) throws -> Result {
        try queue.read { db in
            // Within the transaction, so that every number that a row has is known.
            let texts = try state.withLock { texts in
                let more = try String.fetchCursor(
                    db.cachedStatement(sql: "SELECT text FROM name WHERE id >= ? ORDER BY id"), arguments: [texts.names.count])
                while let text = try more.next() { texts.names.append(text) }
                return texts
            }
            let view = PartitionView(name: name, db: db, names: texts.names, processes: texts.processes)
            let result = try body(view)
            let met = view.processes
            if met.count > texts.processes.count { state.withLock { $0.processes.merge(met) { $1 } } }
            return result
        }
    }
}

/// Device and inode of a file.
private struct FileIdentity: Hashable, Sendable {
    var device: UInt64
    var inode: UInt64

    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }
}

/// One partition as it is during one read.
final class PartitionView {
    let name: PartitionName
    let db: Database
    let names: [String]
    private(set) var processes: [Int64: SpanOrigin]

    init(name: PartitionName, db: Database, names: [String], processes: [Int64: SpanOrigin]) {
        self.name = name
        self.db = db
        self.names = names
        self.processes = processes
    }

    func text(_ number: Int) -> String { names.indices.contains(number) ? names[number] : "" }

    func digest(_ row: Row, from offset: Int) -> TraceDigest { TraceDigest(row: row, from: offset, text: text) }

    /// The trace's row and what is known of it.
    func find(_ id: TraceID) throws -> (row: Int64, digest: TraceDigest)? {
        let statement = try db.cachedStatement(sql: "SELECT id, \(TraceDigest.columns) FROM trace WHERE identity = ?")
        guard let row = try Row.fetchOne(statement, arguments: [id.identity]) else { return nil }
        return (row[0], digest(row, from: 1))
    }

    /// The parts of a trace that this file has.
    func parts(row: Int64) throws -> [StoredPart] {
        let statement = try db.cachedStatement(
            sql: """
                SELECT anchor.process, anchor.instant, anchor.wall, chunk.spans FROM chunk JOIN anchor ON anchor.id = chunk.anchor
                WHERE chunk.id BETWEEN ? AND ? ORDER BY chunk.id
                """)
        let first = row << Partition.chunkBits
        var parts: [StoredPart] = []
        let rows = try Row.fetchCursor(statement, arguments: [first, first | (1 << Partition.chunkBits - 1)])
        while let row = try rows.next() {
            guard let origin = try origin(row[0]) else { continue }
            parts.append(
                StoredPart(
                    origin: origin,
                    anchor: TimeAnchor(instant: Instant(nanoseconds: row[1]), wall: UnixTime(nanoseconds: row[2])),
                    spans: Array(row[3] as Data), names: names))
        }
        return parts
    }

    private func origin(_ process: Int64) throws -> SpanOrigin? {
        if let known = processes[process] { return known }
        let statement = try db.cachedStatement(sql: "SELECT instance, service, tier, version, clock FROM process WHERE id = ?")
        guard let row = try Row.fetchOne(statement, arguments: [process]) else { return nil }
        let origin = SpanOrigin(
            instance: InstanceID(row[0] as String) ?? InstanceID(high: 0, low: 0), service: row[1], tier: row[2], version: row[3],
            clock: UInt64(bitPattern: row[4] as Int64))
        processes[process] = origin
        return origin
    }
}

/// Spans of one trace and one process, as they lie in a file.
struct StoredPart {
    var origin: SpanOrigin
    var anchor: TimeAnchor
    var spans: [UInt8]
    var names: [String]

    /// Two readings of clocks that were not named and differ by less than this are of one host.
    private static let sameClock: Int64 = 2_000_000_000

    /// The spans of all parts.
    ///
    /// Processes of one host share its monotonic clock, so that one reading of the wall clock serves them all: spans of one host
    /// are never moved against each other.
    static func decode(
        _ parts: [StoredPart], of trace: TraceID, _ depth: ChunkDecoder.Depth = .whole
    ) -> [DecodedSpan] {
        var references: [(clock: UInt64, anchor: TimeAnchor)] = []
        var placed: [Int] = []
        for part in parts {
            let known = references.firstIndex { reference in
                if part.origin.clock != 0, reference.clock != 0 { return part.origin.clock == reference.clock }
                let (difference, overflow) = part.anchor.offset.subtractingReportingOverflow(reference.anchor.offset)
                return !overflow && difference.magnitude < UInt64(sameClock)
            }
            if let known {
                if part.anchor.instant < references[known].anchor.instant { references[known].anchor = part.anchor }
                if references[known].clock == 0 { references[known].clock = part.origin.clock }
                placed.append(known)
            } else {
                references.append((part.origin.clock, part.anchor))
                placed.append(references.count - 1)
            }
        }
        var spans: [DecodedSpan] = []
        for (part, place) in zip(parts, placed) {
            let reference = references[place]
            var origin = part.origin
            // Unnamed clocks are told apart by the place of their reading: small numbers, which no fingerprint is.
            origin.clock = reference.clock != 0 ? reference.clock : UInt64(place)
            let decoder = ChunkDecoder(names: part.names, depth: depth)
            part.spans.withUnsafeBytes { bytes in
                // What can be read is shown; the rest is damage, which the check of the file finds.
                try? decoder.decode(
                    bytes, of: trace, from: origin, since: part.anchor.instant, at: reference.anchor, into: &spans)
            }
        }
        return spans
    }
}
