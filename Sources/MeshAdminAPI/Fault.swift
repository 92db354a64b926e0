/// Trouble that is to be made on an edge, for a share of its attempts and a time: the body of `POST /v1/faults`.
package struct FaultRequest: Hashable, Sendable, Codable {
    package var from: String
    package var to: String
    package var delayMS: Double?
    package var abort: Int?
    package var reset: Bool
    /// 0...1.
    package var share: Double
    package var forSeconds: Double

    package init(
        from: String, to: String, delayMS: Double? = nil, abort: Int? = nil, reset: Bool = false, share: Double = 1, forSeconds: Double
    ) {
        self.from = from
        self.to = to
        self.delayMS = delayMS
        self.abort = abort
        self.reset = reset
        self.share = share
        self.forSeconds = forSeconds
    }

    private enum CodingKeys: String, CodingKey {
        case from, to
        case delayMS = "delay_ms"
        case abort, reset, share
        case forSeconds = "for_seconds"
    }
}

/// Trouble that is being made: `mesh fault --json`.
package struct FaultStatus: Hashable, Sendable, Codable {
    package var from: String
    package var to: String
    /// `delay 300ms, abort 503 for 20%`.
    package var what: String
    /// nil for one that mesh.yaml has.
    package var expiresAt: Timestamp?

    package init(from: String, to: String, what: String, expiresAt: Timestamp? = nil) {
        self.from = from
        self.to = to
        self.what = what
        self.expiresAt = expiresAt
    }

    private enum CodingKeys: String, CodingKey {
        case from, to, what
        case expiresAt = "expires_at"
    }
}
