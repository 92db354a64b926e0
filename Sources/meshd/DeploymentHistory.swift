import Foundation
import MeshAdminAPI
import MeshSupervision

/// What was applied with success, the last few times: what `mesh rollback` goes back to, and a daemon that comes back goes on from.
///
/// Invariant: no two neighbours are the same. On disk for the owner only, since environments hold secrets.
struct DeploymentHistory {
    struct Record: Hashable, Codable {
        var number: Int
        var at: Timestamp
        var content: Content
    }

    struct Content: Hashable, Codable {
        var source: Daemon.Applied.Source
        var adjustments: Deployment.Adjustments
        /// By the label of the group.
        var builds: [String: String]
    }

    static let most = 10

    private(set) var records: [Record]
    private let path: String

    /// What can't be read counts as never applied.
    init(path: String) {
        self.path = path
        let data = try? Data(contentsOf: URL(filePath: path))
        records = data.flatMap { try? JSONDecoder().decode([Record].self, from: $0) } ?? []
    }

    /// The one before the last.
    var previous: Record? { records.dropLast().last }

    /// Every build that a record names.
    var builds: Set<String> { Set(records.flatMap(\.content.builds.values)) }

    /// - Throws: where it can't be written; it is kept in mind all the same.
    mutating func add(_ content: Content, at time: Timestamp) throws {
        guard records.last?.content != content else { return }
        records = (records + [Record(number: (records.last?.number ?? 0) + 1, at: time, content: content)]).suffix(Self.most)
        let fresh = path + ".new"
        let data = try JSONEncoder().encode(records)
        let file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        let handle = FileHandle(fileDescriptor: file, closeOnDealloc: true)
        try handle.write(contentsOf: data)
        try handle.close()
        FaultPoint.historyWritten.passed()
        guard rename(fresh, path) == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    }
}
