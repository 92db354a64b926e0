package import MeshModel

/// Trouble made on purpose for a share of the attempts on an edge or a route: first a delay, then an answer or a reset instead of
/// the upstream's.
package struct FaultPolicy: Hashable, Sendable, Codable, CustomStringConvertible {
    package var delay: Timespan?
    /// Answer with this status.
    package var abort: Int?
    /// Fail as if the connection had been reset.
    package var reset: Bool
    /// 0...1.
    package var share: Double
    /// How long it rules from when it was first heard of; nil for as long as it is configured.
    package var lasts: Timespan?
    /// Tells two orders that are alike apart; 0 for what mesh.yaml says.
    package var order: UInt64

    package init(
        delay: Timespan? = nil, abort: Int? = nil, reset: Bool = false, share: Double = 1, lasts: Timespan? = nil, order: UInt64 = 0
    ) {
        self.delay = delay
        self.abort = abort
        self.reset = reset
        self.share = share
        self.lasts = lasts
        self.order = order
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        delay = try values.decodeIfPresent(Timespan.self, forKey: .delay)
        abort = try values.decodeIfPresent(Int.self, forKey: .abort)
        reset = try values.decode(.reset, default: false)
        share = try values.decode(.share, default: 1)
        lasts = try values.decodeIfPresent(Timespan.self, forKey: .lasts)
        order = try values.decode(.order, default: 0)
    }

    /// `delay 300ms, abort 503 for 20%`.
    package var description: String {
        var parts: [String] = []
        if let delay { parts.append("delay \(delay.milliseconds)ms") }
        if let abort { parts.append("abort \(abort)") }
        if reset { parts.append("reset") }
        let percent = Int((share * 1000).rounded())
        return parts.joined(separator: ", ") + (share < 1 ? " for \(percent / 10)\(percent % 10 == 0 ? "" : ".\(percent % 10)")%" : "")
    }

    /// What one attempt gets of it; nil for nothing.
    package func draw(random: inout RandomSource) -> InjectedFault? {
        guard share >= 1 || random.nextUnit() < share else { return nil }
        let ending: InjectedFault.Ending = if let abort { .abort(status: abort) } else if reset { .reset } else { .none }
        guard delay != nil || ending != .none else { return nil }
        return InjectedFault(delay: delay ?? .zero, ending: ending)
    }
}

/// The trouble of one attempt.
package struct InjectedFault: Hashable, Sendable, CustomStringConvertible {
    package enum Ending: Hashable, Sendable {
        /// After the delay it goes on as any other.
        case none
        case abort(status: Int)
        case reset
    }

    package var delay: Timespan
    package var ending: Ending

    package var description: String {
        var parts = delay > .zero ? ["delay \(delay.milliseconds)ms"] : []
        switch ending {
        case .none: break
        case .abort(let status): parts.append("abort \(status)")
        case .reset: parts.append("reset")
        }
        return parts.joined(separator: ", ")
    }
}

/// A fault and its end, on this process's clock.
package struct ActiveFault: Sendable {
    package let policy: FaultPolicy
    private let until: Instant

    /// - Parameter previous: of the configuration before; the same order goes on, and does not begin again.
    package init?(_ policy: FaultPolicy?, after previous: ActiveFault?, now: Instant) {
        guard let policy else { return nil }
        self.policy = policy
        if let previous, previous.policy == policy {
            until = previous.until
        } else {
            until = policy.lasts.map { now + $0 } ?? .distantFuture
        }
    }

    package func policy(at now: Instant) -> FaultPolicy? { now < until ? policy : nil }
}
