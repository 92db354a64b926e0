import Foundation
import MeshAdminAPI

/// What `GET /v1/logs` asks for.
struct LogQuery: Sendable, Hashable {
    /// Of each instance.
    static let standardLines = 200
    static let mostLines = 100_000

    var service: String?
    var instance: String?
    var lines: Int
    var follow: Bool

    /// - Throws: a 400 `Problem` for a number that is none.
    init(service: String?, instance: String?, lines: String?, follow: String?) throws {
        self.service = service
        self.instance = instance
        self.follow = follow == "true"
        guard let lines else {
            self.lines = Self.standardLines
            return
        }
        guard let number = Int(lines), (0...Self.mostLines).contains(number) else {
            throw Problem(title: "lines takes a number from 0 to \(Self.mostLines)", status: 400, detail: "not '\(lines)'")
        }
        self.lines = number
    }
}
