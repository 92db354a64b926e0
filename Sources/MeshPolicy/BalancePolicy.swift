/// How one of several endpoints is chosen.
package enum BalancePolicy: Hashable, Sendable, Codable {
    /// Two at random, and of them the one that costs less by its latency and its load.
    case p2c
    /// One after the other, by weight.
    case roundRobin
    /// Two at random, and of them the one with fewer calls under way (Envoy's "least request").
    case leastRequests
    /// The same endpoint for the same value, while it is usable and not overloaded.
    case hash(on: HashKey)
}

/// What of a request decides where it goes.
package enum HashKey: Hashable, Sendable, Codable {
    case header(name: String)
    case cookie(name: String)
    /// The client's address.
    case source
}
