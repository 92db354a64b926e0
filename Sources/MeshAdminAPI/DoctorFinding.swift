/// One thing that was looked at: `doctor --json` is a list of them.
package struct DoctorFinding: Hashable, Sendable, Codable {
    package enum Status: String, Hashable, Sendable, Codable {
        case ok
        /// Nothing is wrong, and it is good to know.
        case note
        /// It may bite.
        case warning
        /// It does bite.
        case error
    }

    /// What was looked at, in a word.
    package var check: String
    package var status: Status
    package var message: String
    /// What to do; nil where nothing is to be done.
    package var fix: String?

    private enum CodingKeys: String, CodingKey { case check, status, message, fix }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(check, forKey: .check)
        try container.encode(status, forKey: .status)
        try container.encode(message, forKey: .message)
        try container.encode(fix, forKey: .fix)
    }

    package init(_ check: String, _ status: Status, _ message: String, fix: String? = nil) {
        self.check = check
        self.status = status
        self.message = message
        self.fix = fix
    }
}
