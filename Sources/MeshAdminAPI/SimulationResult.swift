/// What a mesh would do under a load and a failure: `mesh simulate --json`.
package struct SimulationResult: Hashable, Sendable, Codable {
    package var file: String
    package var seed: UInt64
    package var seconds: Double
    /// Of clients' requests.
    package var rate: Double
    package var requests: Int
    package var okRatio: Double
    package var p50MS: Double?
    package var p99MS: Double?
    package var services: [Service]
    package var edges: [Edge]
    /// What happened first on which edge, oldest first.
    package var first: [First]

    package struct Service: Hashable, Sendable, Codable {
        package var service: String
        package var tier: String
        package var arrivals: Int
        /// Arrivals per request of a client.
        package var amplification: Double
        /// Of the arrivals, those that were turned away.
        package var shedRatio: Double

        package init(service: String, tier: String, arrivals: Int, amplification: Double, shedRatio: Double) {
            self.service = service
            self.tier = tier
            self.arrivals = arrivals
            self.amplification = amplification
            self.shedRatio = shedRatio
        }

        private enum CodingKeys: String, CodingKey {
            case service, tier, arrivals, amplification
            case shedRatio = "shed_ratio"
        }
    }

    package struct Edge: Hashable, Sendable, Codable {
        package var from: String
        package var to: String
        package var calls: Int
        /// Attempts per call.
        package var tries: Double
        package var okRatio: Double
        package var p50MS: Double?
        package var p99MS: Double?
        /// Calls that never left the caller, by why.
        package var refused: [String: Int]

        package init(
            from: String, to: String, calls: Int, tries: Double, okRatio: Double, p50MS: Double?, p99MS: Double?, refused: [String: Int]
        ) {
            self.from = from
            self.to = to
            self.calls = calls
            self.tries = tries
            self.okRatio = okRatio
            self.p50MS = p50MS
            self.p99MS = p99MS
            self.refused = refused
        }

        private enum CodingKeys: String, CodingKey {
            case from, to, calls, tries
            case okRatio = "ok_ratio"
            case p50MS = "p50_ms"
            case p99MS = "p99_ms"
            case refused
        }
    }

    package struct First: Hashable, Sendable, Codable {
        /// Seconds into the run.
        package var at: Double
        package var from: String
        package var to: String
        package var what: String

        package init(at: Double, from: String, to: String, what: String) {
            self.at = at
            self.from = from
            self.to = to
            self.what = what
        }
    }

    package init(
        file: String, seed: UInt64, seconds: Double, rate: Double, requests: Int, okRatio: Double, p50MS: Double?, p99MS: Double?,
        services: [Service], edges: [Edge], first: [First]
    ) {
        self.file = file
        self.seed = seed
        self.seconds = seconds
        self.rate = rate
        self.requests = requests
        self.okRatio = okRatio
        self.p50MS = p50MS
        self.p99MS = p99MS
        self.services = services
        self.edges = edges
        self.first = first
    }

    private enum CodingKeys: String, CodingKey {
        case file, seed, seconds, rate, requests
        case okRatio = "ok_ratio"
        case p50MS = "p50_ms"
        case p99MS = "p99_ms"
        case services, edges, first
    }
}
