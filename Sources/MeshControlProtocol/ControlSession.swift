package import MeshModel

/// An instance's side of its connection to the daemon: greets, installs what it is sent, and comes back when the daemon went.
///
/// Invariants: at most one connection is open or being opened; every connection begins with `hello`, which names the revision
/// that rules, followed by the last known health; without a daemon nothing is taken away from the instance, so that calls go on
/// by the last configuration.
package struct ControlSession: Sendable {
    package struct Timing: Hashable, Sendable {
        package var firstRetry = Timespan.milliseconds(50)
        package var longestRetry = Timespan.seconds(5)
        /// A connection that lasted so long proves that the daemon is well: the next loss starts with `firstRetry` again.
        package var provenAfter = Timespan.seconds(10)
        package var statisticsEvery = Timespan.seconds(1)
        /// As long as there is nothing new in them.
        package var quietStatisticsEvery = Timespan.seconds(5)

        package init() {}
    }

    /// What the host has to do, in the order of the fields.
    package struct Effects: Hashable, Sendable {
        /// Close the connection once all of `send` is written.
        package var disconnect = false
        /// Open a connection, and say `connected` or `disconnected` when that has succeeded or failed.
        package var connect = false
        package var send: [InstanceMessage] = []
        /// Install it, and say `configurationInstalled` or `configurationRefused`.
        package var install: ConfigurationMessage?
        package var drain: Drain?
        /// Collect the counters, and say `statisticsCollected`.
        package var reportStatistics = false
        /// When to say `timerFired`; nil for never. The full truth after each event.
        package var wakeAt: Instant?

        package init() {}
    }

    private enum State: Hashable, Sendable {
        case idle
        case connecting
        case connected(since: Instant, statisticsAt: Instant)
        case waiting(until: Instant)
        case ended
    }

    private var state = State.idle
    private var hello: Hello
    private var health: Health?
    private var isStopping = false
    /// What this connection has been told last.
    private var told: (statistics: InstanceStatistics, at: Instant)?
    /// Connections lost or not made in a row.
    private var failures = 0
    private let timing: Timing

    package init(hello: Hello, timing: Timing = Timing()) {
        self.hello = hello
        self.timing = timing
    }

    /// The revision that rules the instance; nil before the first one.
    package var revision: UInt64? { hello.revision }

    package var isConnected: Bool {
        if case .connected = state { true } else { false }
    }

    /// The instance wants a daemon.
    package mutating func started() -> Effects {
        guard state == .idle else { return effects() }
        state = .connecting
        return effects { $0.connect = true }
    }

    package mutating func connected(now: Instant) -> Effects {
        guard state == .connecting else { return effects() }
        state = .connected(since: now, statisticsAt: now + timing.statisticsEvery)
        told = nil
        return effects {
            $0.send = [.hello(hello)]
            if let health { $0.send.append(.health(health)) }
            if isStopping { $0.send.append(.stopping) }
        }
    }

    /// The connection was lost, or could not be made.
    package mutating func disconnected(now: Instant, random: inout RandomSource) -> Effects {
        switch state {
        case .idle, .waiting, .ended: return effects()
        case .connected(let since, _): failures = now - since >= timing.provenAfter ? 1 : failures + 1
        case .connecting: failures += 1
        }
        state = .waiting(until: now + delay(random: &random))
        return effects()
    }

    package mutating func received(_ message: DaemonMessage) -> Effects {
        guard isConnected else { return effects() }
        return effects {
            switch message {
            case .configuration(let configuration): $0.install = configuration
            case .drain(let drain): $0.drain = drain
            }
        }
    }

    package mutating func configurationInstalled(revision: UInt64) -> Effects {
        hello.revision = revision
        return said(.acknowledged(Acknowledgement(revision: revision)))
    }

    package mutating func configurationRefused(revision: UInt64, reason: String) -> Effects {
        said(.refused(Refusal(revision: revision, reason: reason)))
    }

    package mutating func healthChanged(to health: Health) -> Effects {
        guard health != self.health else { return effects() }
        self.health = health
        return said(.health(health))
    }

    /// Those that are as they were are said again only now and then: an instance that nobody calls costs the daemon next to nothing.
    package mutating func statisticsCollected(_ statistics: InstanceStatistics, now: Instant) -> Effects {
        if let told, told.statistics == statistics, now - told.at < timing.quietStatisticsEvery { return effects() }
        told = (statistics, now)
        return said(.statistics(statistics))
    }

    /// Draining began. The connection stays, so that the last spans are still carried.
    package mutating func stoppingBegan() -> Effects {
        guard !isStopping else { return effects() }
        isStopping = true
        return said(.stopping)
    }

    /// The instance is done; nothing is wanted of a daemon any more.
    package mutating func ended() -> Effects {
        let hadConnection = isConnected || state == .connecting
        state = .ended
        return effects { $0.disconnect = hadConnection }
    }

    package mutating func timerFired(now: Instant) -> Effects {
        switch state {
        case .waiting(let until) where now >= until:
            state = .connecting
            return effects { $0.connect = true }
        case .connected(let since, let statisticsAt) where now >= statisticsAt:
            state = .connected(since: since, statisticsAt: now + timing.statisticsEvery)
            return effects { $0.reportStatistics = true }
        default: return effects()
        }
    }

    /// Doubles from `firstRetry` to `longestRetry`; half of it is random, so that a thousand instances do not come back at once.
    private func delay(random: inout RandomSource) -> Timespan {
        var span = timing.firstRetry
        for _ in 1..<max(failures, 1) where span < timing.longestRetry { span = span * 2 }
        let half = min(span, timing.longestRetry) * 0.5
        return half + half * random.nextUnit()
    }

    private func said(_ message: InstanceMessage) -> Effects {
        effects { if isConnected { $0.send = [message] } }
    }

    private func effects(_ fill: (inout Effects) -> Void = { _ in }) -> Effects {
        var effects = Effects()
        fill(&effects)
        switch state {
        case .idle, .connecting, .ended: effects.wakeAt = nil
        case .connected(_, let statisticsAt): effects.wakeAt = statisticsAt
        case .waiting(let until): effects.wakeAt = until
        }
        return effects
    }
}
