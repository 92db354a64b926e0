import Foundation
import MeshAdminAPI

/// What `GET /v1/logs` asks for.
struct LogQuery: Sendable, Hashable {
    /// Of each instance.
    static let standardLines = 200
    static let mostLines = 100_000

    /// Services or instances; empty means all.
    var names: Set<String>
    var lines: Int
    var follow: Bool
    /// Seconds back.
    var since: Int?
    /// Only what was logged for this one; an id, the beginning of one, or `last`.
    var trace: String?
    /// Of the incarnation that ended last without being told to, and no other.
    var lastCrash: Bool

    /// - Throws: a 400 `Problem` for a number that is none.
    init(
        service: String?, instance: String?, lines: String?, follow: String?, since: String? = nil, trace: String? = nil,
        lastCrash: String? = nil
    ) throws {
        names = Set([service, instance].compactMap(\.self).flatMap { $0.split(separator: ",").map(String.init) })
        self.follow = follow == "true"
        self.lastCrash = lastCrash == "true"
        self.since = try since.map { text in
            guard let seconds = Int(text), seconds >= 0 else {
                throw Problem(title: "since takes a number of seconds", status: 400, detail: "not '\(text)'")
            }
            return seconds
        }
        self.trace = trace
        guard let lines else {
            self.lines = Self.standardLines
            return
        }
        guard let number = Int(lines), (0...Self.mostLines).contains(number) else {
            throw Problem(title: "lines takes a number from 0 to \(Self.mostLines)", status: 400, detail: "not '\(lines)'")
        }
        self.lines = number
    }

    /// Whether lines of this replica are wanted; `catalog/v1` is version v1 of catalog.
    func wants(service: String, version: String?, replica: String) -> Bool {
        names.isEmpty || names.contains(service) || names.contains(replica) || (version.map { names.contains("\(service)/\($0)") } ?? false)
    }
}
