package import MeshModel

/// Decides what happens to one replica: told facts and the time, it answers with commands.
///
/// Invariants: between a `start` and the fact that its incarnation ended (`exited`, `startFailed`, `foundDead`) there is no other `start`;
/// after `stopRequested` nothing is started until `startRequested`; `wakeAt` is the whole truth about time after every fact.
package struct ReplicaMachine: Hashable, Sendable {
    /// As `ps --json` shows it.
    package enum State: String, Hashable, Sendable, Codable {
        case starting, ready, unready, draining, stopped
        case crashLoop = "crash_loop"
    }

    package enum Role: String, Hashable, Sendable { case startup, ready, live }

    package enum Command: Hashable, Sendable {
        /// One incarnation, through the shim, which is launched first if there is none.
        case start
        case stop(grace: Timespan)
        case kill
        /// The answer must name the same run.
        case probe(Role, Probe, run: Int)
        /// A new shim takes over whatever the lost one left.
        case recoverShim
        /// The shim doesn't answer: away with it, and a new one.
        case replaceShim
        case report(Report)
    }

    package enum Report: Hashable, Sendable {
        case launching
        case running
        case adopted
        case ready
        case unready(reason: String)
        case draining
        case exited(ExitReport)
        /// It could not be run, or never got ready.
        case startFailed(reason: String)
        case waiting(until: Instant, crashLoop: Bool)
        case stopped
        case shimLost
    }

    package struct Effects: Hashable, Sendable {
        package var commands: [Command] = []
        package var wakeAt: Instant?
    }

    /// What the machine of an earlier daemon knew of the replica, for the one that takes it over.
    package struct Past: Hashable, Sendable, Codable {
        package var restarts: Int
        package var state: State

        package init(restarts: Int = 0, state: State = .unready) {
            self.restarts = restarts
            self.state = state
        }
    }

    struct Run: Hashable, Sendable {
        var number: Int
        var since: Instant
        var startup: Probing?
        var ready: Probing?
        var live: Probing?
        var isReady = false
        /// Nil until it was ready for the first time.
        var firstReady: Instant?
        /// By when it must be ready; nil once it was.
        var readyBy: Instant?
        var settlesAt: Instant?
        var isDraining = false
    }

    enum Ending: Hashable, Sendable {
        case stopping
        case restarting
        /// By our own decision: `reason` was reported.
        case failed
    }

    enum Phase: Hashable, Sendable {
        case idle
        case launching(since: Instant)
        case running(Run)
        case ending(Run, Ending, killAt: Instant)
        case waiting(until: Instant)
        /// The shim is lost; what it ran may live. `retryAt` is nil while a new one is on its way.
        case recovering(Run?, Ending?, retryAt: Instant?)
    }

    package static let recoverEvery = Timespan.seconds(Int64(1))

    package private(set) var probes: ProbeSet
    package private(set) var restart: RestartPolicy
    package private(set) var stopGrace: Timespan
    /// Within which an incarnation must have been started or refused; over it, the shim is taken for dead.
    package let launchTimeout: Timespan
    package private(set) var isWanted = false
    /// Starts after the first one, since the replica was last asked for.
    package private(set) var restarts = 0
    package private(set) var failures = 0
    package private(set) var lastExit: ExitReport?
    /// Why it is not as it should be, in one line.
    package var reason: String?
    var phase = Phase.idle
    private var runs = 0
    private var lastEndWasCrash = false
    /// How what is adopted was seen last.
    private let adoptedState: State
    var commands: [Command] = []

    package init(
        probes: ProbeSet, restart: RestartPolicy, stopGrace: Timespan, launchTimeout: Timespan = .seconds(Int64(20)), past: Past = Past()
    ) {
        self.launchTimeout = launchTimeout
        restarts = past.restarts
        adoptedState = past.state
        self.probes = probes
        self.restart = restart
        self.stopGrace = stopGrace
    }

    /// New rules hold from the next start on.
    package mutating func adoptPolicies(probes: ProbeSet, restart: RestartPolicy, stopGrace: Timespan) {
        self.probes = probes
        self.restart = restart
        self.stopGrace = stopGrace
    }

    package var state: State {
        switch phase {
        case .idle: .stopped
        case .launching: .starting
        case .running(let run): Self.state(of: run)
        case .ending: .draining
        case .waiting: isCrashLoop ? .crashLoop : .starting
        case .recovering(let run, let ending, _): ending != nil ? .draining : run.map(Self.state) ?? .starting
        }
    }

    private static func state(of run: Run) -> State {
        if run.isDraining { return .draining }
        return run.isReady ? .ready : run.firstReady == nil ? .starting : .unready
    }

    private var isCrashLoop: Bool { failures >= 2 && lastEndWasCrash }

    package var past: Past { Past(restarts: restarts, state: state) }

    package var nextStart: Instant? { if case .waiting(let until) = phase { until } else { nil } }

    /// Whether an incarnation may be alive.
    package var mayLive: Bool {
        switch phase {
        case .idle, .waiting: false
        case .launching, .running, .ending, .recovering: true
        }
    }

    // MARK: Wishes

    package mutating func startRequested(_ now: Instant) -> Effects {
        isWanted = true
        switch phase {
        case .idle, .waiting:
            failures = 0
            restarts = 0
            launch(now)
        case .ending(let run, .stopping, let killAt): phase = .ending(run, .restarting, killAt: killAt)
        case .recovering(let run, .stopping, let retryAt): phase = .recovering(run, .restarting, retryAt: retryAt)
        case .launching, .running, .ending, .recovering: break
        }
        return effects(now)
    }

    package mutating func restartRequested(_ now: Instant) -> Effects {
        guard case .running(let run) = phase else { return startRequested(now) }
        isWanted = true
        end(run, .restarting, now)
        return effects(now)
    }

    package mutating func stopRequested(_ now: Instant) -> Effects {
        isWanted = false
        switch phase {
        case .idle: commands.append(.report(.stopped))
        case .waiting: becomeStopped()
        case .launching: break
        case .running(let run): end(run, .stopping, now)
        case .ending(let run, _, let killAt): phase = .ending(run, .stopping, killAt: killAt)
        case .recovering(let run, _, let retryAt): phase = .recovering(run, .stopping, retryAt: retryAt)
        }
        return effects(now)
    }

    /// New calls go elsewhere from now on; a stop will follow.
    package mutating func drainBegan(_ now: Instant) -> Effects {
        if case .running(var run) = phase, !run.isDraining {
            run.isDraining = true
            phase = .running(run)
            commands.append(.report(.draining))
        }
        return effects(now)
    }

    // MARK: What the shim told

    package mutating func spawned(_ now: Instant) -> Effects {
        guard case .launching = phase else { return effects(now) }
        let run = begin(now)
        commands.append(.report(.running))
        if isWanted { phase = .running(run) } else { end(run, .stopping, now) }
        return effects(now)
    }

    package mutating func startFailed(_ reason: String, _ now: Instant) -> Effects {
        guard case .launching = phase else { return effects(now) }
        self.reason = reason
        commands.append(.report(.startFailed(reason: reason)))
        ended(isClean: false, wasReady: false, now)
        return effects(now)
    }

    package mutating func exited(_ report: ExitReport, _ now: Instant) -> Effects {
        switch phase {
        case .running(let run): exited(report, run, nil, now)
        case .ending(let run, let ending, _): exited(report, run, ending, now)
        case .recovering(let run, let ending, _): exited(report, run, ending, now)
        case .launching: exited(report, nil, nil, now)
        case .idle, .waiting: break
        }
        return effects(now)
    }

    /// The connection to the shim ended and nobody had asked for that.
    package mutating func shimLost(_ now: Instant) -> Effects {
        switch phase {
        case .idle, .waiting: return effects(now)
        case .launching: phase = .recovering(nil, nil, retryAt: nil)
        case .running(let run): phase = .recovering(run, nil, retryAt: nil)
        case .ending(let run, let ending, _): phase = .recovering(run, ending, retryAt: nil)
        case .recovering(let run, let ending, _): phase = .recovering(run, ending, retryAt: now + Self.recoverEvery)
        }
        if case .recovering(_, _, nil) = phase { commands += [.report(.shimLost), .recoverShim] }
        return effects(now)
    }

    package mutating func shimNotRecovered(_ reason: String, _ now: Instant) -> Effects {
        guard case .recovering(let run, let ending, _) = phase else { return effects(now) }
        self.reason = reason
        phase = .recovering(run, ending, retryAt: now + Self.recoverEvery)
        return effects(now)
    }

    /// A shim, new or met again, has an incarnation that lives.
    package mutating func foundAlive(_ now: Instant, wanted: Bool? = nil) -> Effects {
        switch phase {
        case .idle:
            isWanted = wanted ?? isWanted
            let run = begin(now, adoptedAs: adoptedState)
            commands.append(.report(.adopted))
            if isWanted { phase = .running(run) } else { end(run, .stopping, now) }
        case .recovering(let known, let ending, _):
            let run = known ?? begin(now)
            commands.append(.report(.adopted))
            if let ending { end(run, ending, now) } else if isWanted { phase = .running(run) } else { end(run, .stopping, now) }
        case .launching, .running, .ending, .waiting: break
        }
        return effects(now)
    }

    /// A shim, new or met again, has no incarnation that lives. `report` tells of the last one's end, if that is news.
    package mutating func foundDead(_ report: ExitReport?, _ now: Instant, wanted: Bool? = nil) -> Effects {
        switch phase {
        case .idle:
            isWanted = wanted ?? isWanted
            lastExit = report ?? lastExit
            guard isWanted else { break }
            if let report { exited(report, nil, nil, now, wasReady: true) } else { launch(now) }
        case .recovering(let run, let ending, _):
            if let report { exited(report, run, ending, now) } else { ended(isClean: false, wasReady: run?.firstReady != nil, now) }
        case .launching, .running, .ending, .waiting: break
        }
        return effects(now)
    }

    package mutating func timerFired(_ now: Instant) -> Effects { effects(now) }

    // MARK: Parts

    private mutating func launch(_ now: Instant) {
        phase = .launching(since: now)
        commands += [.report(.launching), .start]
    }

    /// - Parameter seen: for one that was running before; it goes on as it was seen last until a probe or it itself says otherwise,
    ///   since that is what its callers know of it.
    private mutating func begin(_ now: Instant, adoptedAs seen: State? = nil) -> Run {
        runs += 1
        var run = Run(number: runs, since: now)
        if seen == .ready || seen == .unready {
            run.firstReady = now
            run.isReady = seen == .ready
            beginProbes(&run, now)
            return run
        }
        run.startup = probes.startup.map { Probing($0, began: now) }
        if run.startup == nil { beginProbes(&run, now) }
        switch (probes.startup, probes.ready) {
        case (let startup?, _): run.readyBy = now + startup.within
        case (nil, .probe(let probe)): run.readyBy = now + probe.within
        case (nil, .reported(let within)): run.readyBy = now + within
        case (nil, .settled): break
        }
        return run
    }

    mutating func end(_ run: Run, _ ending: Ending, _ now: Instant) {
        // The shim kills at the end of the grace; this only covers a shim that doesn't.
        phase = .ending(run, ending, killAt: now + stopGrace + .seconds(Int64(2)))
        if !run.isDraining { commands.append(.report(.draining)) }
        commands.append(.stop(grace: stopGrace))
    }

    private mutating func becomeStopped() {
        phase = .idle
        commands.append(.report(.stopped))
    }

    private mutating func exited(_ report: ExitReport, _ run: Run?, _ ending: Ending?, _ now: Instant, wasReady: Bool = false) {
        lastExit = report
        commands.append(.report(.exited(report)))
        if ending == .restarting && isWanted {
            restarts += 1
            reason = nil
            return launch(now)
        }
        if let ready = run?.firstReady, now - ready >= restart.stableAfter { failures = 0 }
        if ending != .failed { reason = report.isClean ? nil : report.description }
        let isClean = ending == nil && report.cause == .code(0)
        ended(isClean: isClean, wasReady: wasReady || run?.firstReady != nil, now)
    }

    private mutating func ended(isClean: Bool, wasReady: Bool, _ now: Instant) {
        guard isWanted, restart.restarts(afterClean: isClean) else { return becomeStopped() }
        failures += 1
        lastEndWasCrash = !isClean
        let until = now + restart.delay(failures: failures, wasReady: wasReady)
        phase = .waiting(until: until)
        if until > now { commands.append(.report(.waiting(until: until, crashLoop: isCrashLoop))) }
    }

    /// Does what is due, and says when to look again.
    mutating func effects(_ now: Instant) -> Effects {
        switch phase {
        case .waiting(let until) where now >= until:
            restarts += 1
            launch(now)
        case .launching(let since) where now >= since + launchTimeout:
            reason = "its shim does not answer"
            phase = .recovering(nil, nil, retryAt: nil)
            commands += [.report(.shimLost), .replaceShim]
        case .ending(let run, let ending, let killAt) where now >= killAt:
            phase = .ending(run, ending, killAt: now + .seconds(Int64(2)))
            commands.append(.kill)
        case .recovering(let run, let ending, let retryAt?) where now >= retryAt:
            phase = .recovering(run, ending, retryAt: nil)
            commands.append(.recoverShim)
        case .running(var run):
            watch(&run, now)
        case .idle, .waiting, .launching, .ending, .recovering: break
        }
        defer { commands = [] }
        return Effects(commands: commands, wakeAt: wakeAt)
    }

    private var wakeAt: Instant? {
        switch phase {
        case .idle: nil
        case .waiting(let until): until
        case .launching(let since): since + launchTimeout
        case .ending(_, _, let killAt): killAt
        case .recovering(_, _, let retryAt): retryAt
        case .running(let run): run.wakeAt
        }
    }
}
