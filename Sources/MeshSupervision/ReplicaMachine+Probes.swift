package import MeshModel

extension ReplicaMachine.Run {
    var wakeAt: Instant? {
        [startup?.wakeAt, ready?.wakeAt, live?.wakeAt, readyBy, settlesAt].compactMap { $0 }.min()
    }
}

extension ReplicaMachine {
    package mutating func probeSucceeded(_ role: Role, run number: Int, _ now: Instant) -> Effects {
        update(run: number) { machine, run in
            switch role {
            case .startup:
                guard run.startup?.succeeded(now) == .nowPassing else { return }
                run.startup = nil
                machine.beginProbes(&run, now)
                if case .probe(let probe) = machine.probes.ready { run.readyBy = now + probe.within }
            case .ready: if run.ready?.succeeded(now) == .nowPassing { machine.becomeReady(&run, now) }
            case .live: _ = run.live?.succeeded(now)
            }
        }
        return effects(now)
    }

    package mutating func probeFailed(_ role: Role, run number: Int, _ why: String, _ now: Instant) -> Effects {
        var mustEnd = false
        update(run: number) { machine, run in
            switch role {
            case .startup: _ = run.startup?.failed(why, now)
            case .ready: if run.ready?.failed(why, now) == .nowFailing { machine.becomeUnready(&run, why) }
            case .live:
                guard run.live?.failed(why, now) == .nowFailing else { return }
                machine.becomeUnready(&run, "not alive: \(why)")
                mustEnd = true
            }
        }
        if mustEnd, case .running(let run) = phase { end(run, .failed, now) }
        return effects(now)
    }

    /// The instance said itself whether it can take requests.
    package mutating func reported(isReady: Bool, _ now: Instant, why: String = "it said so") -> Effects {
        if case .running(var run) = phase, run.startup == nil {
            if isReady { becomeReady(&run, now) } else { becomeUnready(&run, why) }
            phase = .running(run)
        }
        return effects(now)
    }

    private mutating func update(run number: Int, _ change: (inout Self, inout Run) -> Void) {
        // An answer that comes after its run is nobody's.
        guard case .running(var run) = phase, run.number == number else { return }
        change(&self, &run)
        phase = .running(run)
    }

    func beginProbes(_ run: inout Run, _ now: Instant) {
        switch probes.ready {
        case .probe(let probe): run.ready = Probing(probe, began: now, assumedPassing: run.isReady)
        case .reported: break
        case .settled(let after): run.settlesAt = run.isReady ? nil : now + after
        }
        run.live = probes.live.map { Probing($0, began: now, assumedPassing: true) }
    }

    private mutating func becomeReady(_ run: inout Run, _ now: Instant) {
        run.readyBy = nil
        run.firstReady = run.firstReady ?? now
        guard !run.isReady else { return }
        run.isReady = true
        reason = nil
        commands.append(.report(.ready))
    }

    private mutating func becomeUnready(_ run: inout Run, _ why: String) {
        reason = why
        guard run.isReady else { return }
        run.isReady = false
        commands.append(.report(.unready(reason: why)))
    }

    /// What is due in a run.
    mutating func watch(_ run: inout Run, _ now: Instant) {
        if let settlesAt = run.settlesAt, now >= settlesAt {
            run.settlesAt = nil
            becomeReady(&run, now)
        }
        if let readyBy = run.readyBy, now >= readyBy {
            let last =
                (run.startup ?? run.ready).map { "\($0.probe.question): \($0.lastFailure ?? "no answer")" } ?? "it never reported ready"
            let why = "not ready within \(ExitReport.text(readyBy - run.since)): \(last)"
            reason = why
            run.readyBy = nil
            commands.append(.report(.startFailed(reason: why)))
            return end(run, .failed, now)
        }
        if run.startup?.isDue(now) == true { commands.append(.probe(.startup, run.startup!.probe, run: run.number)) }
        if run.startup == nil {
            if run.ready?.isDue(now) == true { commands.append(.probe(.ready, run.ready!.probe, run: run.number)) }
            if run.live?.isDue(now) == true { commands.append(.probe(.live, run.live!.probe, run: run.number)) }
        }
        phase = .running(run)
    }
}
