/// What went wrong, as `application/problem+json` (RFC 9457) carries it, with the next command to try.
///
/// Invariant: `hint` is something that a person can do next, most often a command.
package struct Problem: Error, Hashable, Sendable, Codable {
    /// A URI reference that names the kind of problem, e.g. `port-in-use`; `about:blank` when the status says it all.
    package var type: String
    package var title: String
    package var status: Int
    package var detail: String?
    package var hint: String?
    /// More, a line each, in an order that matters: a query and the mark below it.
    package var lines: [String]?

    package init(
        type: String = "about:blank", title: String, status: Int, detail: String? = nil, hint: String? = nil, lines: [String]? = nil
    ) {
        self.type = type
        self.title = title
        self.status = status
        self.detail = detail
        self.hint = hint
        self.lines = lines
    }
}

extension Problem: CustomStringConvertible {
    package var description: String { [title, detail].compactMap { $0 }.joined(separator: ": ") }
}
