import MeshExchange

/// The key of a route in a map: `[METHOD ]pattern`.
struct RouteKey: Hashable, Sendable {
    let method: String?
    let pattern: String

    init?(_ text: String) {
        let parts = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        guard let last = parts.last, Self.isPattern(String(last)) else { return nil }
        if parts.count == 2 {
            guard ScalarType.method.accepts(ScalarText(String(parts[0]), isQuoted: true)) else { return nil }
            method = String(parts[0])
        } else {
            method = nil
        }
        pattern = String(last)
    }

    /// Whether the router can read it, and its segments have something in them.
    static func isPattern(_ text: String) -> Bool {
        guard ScalarType.urlPath.accepts(ScalarText(text, isQuoted: true)), (try? RoutePattern(text)) != nil else { return false }
        return !text.contains("//")
    }
}
