/// What bounds how many requests are under way at once.
package enum LimitPolicy: Hashable, Sendable, Codable {
    case fixed(Int)
    case gradient2
}
