package import MeshExchange
package import MeshModel
package import MeshPolicy

/// What must hold of every call, whatever happens to it: told each event and each answer, it keeps its own account of them and
/// objects. It knows the rules from semantics.md, and nothing of how they are kept.
package struct ExchangeInvariants {
    package enum Rule: String, CaseIterable, Sendable {
        case oneTerminalEffect, nothingAfterTheEnd, noRetryAfterCommit, deadlineKept, retriesWithinBudget, fewRetryingAtOnce,
            oneProbePerEndpoint, openBreakerHolds, loansReturned, attemptsBounded, sentOnceUnlessRepeatable, unsentOncePerEndpoint,
            drainingGetsNoCalls, ejectedGetsNoCalls, ejectionsBounded, otherEndpointFirst, effectsLegal, timerMovesOn,
            forbiddenIsNotRetried, retryAfterHonoured, twoAtMost, firstAnswerWins, hedgesWithinShare, hedgesGoToOthers
    }

    package struct Violation: Sendable, CustomStringConvertible {
        package var rule: Rule
        package var call: Int
        package var at: Instant
        package var detail: String
        package var description: String { "\(rule.rawValue): call \(call) at \(at.nanoseconds) ns: \(detail)" }
    }

    /// What an exchange was told.
    package enum Event: Sendable {
        case began, connected, sent, progressed, replayOverflowed, ended, timerFired, callerLeft
        case head(ResponseFacts)
        case failed(AttemptFailure)
    }

    private struct RunningAttempt {
        var number: Int
        var instance: InstanceID
        var mayBeSent = false
        var isProbe = false
    }

    private struct CallAccount {
        var facts: RequestFacts
        var deadline: Instant
        var uploadingSince: Instant?
        /// One, or two side by side.
        var running: [RunningAttempt] = []
        var attempts = 0
        var sent = 0
        var tried: [InstanceID] = []
        /// Endpoints left free of charge.
        var leftUnsent: [InstanceID] = []
        var isCommitted = false
        var headForwarded = false
        var isOver = false
        var isRetrying = false
        /// An answer that nobody may retry.
        var isForbidden = false
        var retryNotBefore: Instant?
        /// The same, said while another attempt was under way.
        var retryNotSooner: Instant?

        func place(of attempt: Int) -> Int? { attempt == 0 ? running.indices.last : running.firstIndex { $0.number == attempt } }

        /// Bytes of the request may have reached the upstream.
        mutating func markSent(_ attempt: Int) {
            guard let place = place(of: attempt), !running[place].mayBeSent else { return }
            running[place].mayBeSent = true
            sent += 1
        }

        mutating func markUnsent(_ attempt: Int) {
            guard let place = place(of: attempt), running[place].mayBeSent else { return }
            running[place].mayBeSent = false
            sent -= 1
        }
    }

    package private(set) var violations: [Violation] = []
    private var calls: [Int: CallAccount] = [:]
    private var policy: CallPolicy
    private var takers: Set<InstanceID>
    private var admitted = 0
    private var active = 0
    private var retrying = 0
    private var charged = 0
    private var hedges = 0
    /// Of former hedge policies.
    private var hedgeAllowance = 0.0
    /// Sums of what former budgets had allowed.
    private var allowance = 0.0
    private var budgetSince: Instant
    private var admittedBefore = 0
    private var probing: Set<InstanceID> = []
    private var running: [InstanceID: Int] = [:]
    private var lastEvent = Event.began
    private var lastAttempt = 0

    package init(policy: CallPolicy, takers: Set<InstanceID>, now: Instant) {
        self.policy = policy
        self.takers = takers
        budgetSince = now
    }

    /// A new snapshot is in force: other endpoints take calls, by another policy.
    package mutating func reconfigured(policy: CallPolicy, takers: Set<InstanceID>, at now: Instant) {
        allowance = allowedRetries(at: now)
        hedgeAllowance = allowedHedges
        budgetSince = now
        admittedBefore = admitted
        self.policy = policy
        self.takers = takers
    }

    private var allowedHedges: Double { hedgeAllowance + (policy.hedge?.most ?? 0) * Double(admitted - admittedBefore) }

    private func allowedRetries(at now: Instant) -> Double {
        let reserve = policy.retry.reservePerSecond
        let burst = reserve > 0 ? max(reserve, 1) : 0
        return allowance + policy.retry.budgetRatio * Double(admitted - admittedBefore) + reserve * (now - budgetSince).seconds + burst
    }

    // MARK: What is told

    package mutating func arrived(_ call: Int, _ facts: RequestFacts, deadline: Instant) {
        calls[call] = CallAccount(facts: facts, deadline: deadline)
    }

    /// Before the exchange hears of it.
    ///
    /// - Parameter attempt: the number of the one that it is about; 0 for the only one, or for the call.
    package mutating func told(_ event: Event, call: Int, attempt: Int = 0, at now: Instant) {
        guard var account = calls[call] else { return }
        lastEvent = event
        lastAttempt = attempt
        switch event {
        case .began:
            if account.facts.bodyIsStreamed, !account.facts.isGRPC { account.uploadingSince = now }
        case .sent:
            account.markSent(attempt)
            if let since = account.uploadingSince {
                account.deadline = account.deadline + (now - since)
                account.uploadingSince = nil
            }
        case .progressed:
            account.markSent(attempt)
        case .replayOverflowed:
            account.isCommitted = true
        case .head(let facts):
            account.markSent(attempt)
            if facts.meshRetryNo || facts.forbidsRetry || facts.overload == .pool { account.isForbidden = true }
            // With another one under way, it is not what comes next.
            let due = facts.retryAfter.map { now + $0 }
            if account.running.count > 1 {
                account.retryNotSooner = due
            } else {
                account.retryNotBefore = due.map { max($0, account.retryNotSooner ?? $0) }
            }
        case .failed(let failure):
            // The peer's word that it did not take the stream undoes the sending.
            if failure.isProvablyUnsent { account.markUnsent(attempt) } else { account.markSent(attempt) }
        case .connected, .ended, .timerFired, .callerLeft:
            break
        }
        calls[call] = account
    }

    // MARK: What is answered

    /// - Parameter edge: how the edge stands after the answer; needed with every attempt that starts.
    package mutating func answered(_ effects: Effects, call: Int, at now: Instant, edge: @autoclosure () -> DestinationStatistics) {
        guard var account = calls[call] else { return }
        defer { calls[call] = account }
        if account.isOver {
            if effects.abandon != nil || effects.start != nil || effects.wakeAt != nil || !effects.caller.isNothing {
                object(.nothingAfterTheEnd, call, now, "\(effects)")
            }
            if effects.caller.isTerminal { object(.oneTerminalEffect, call, now, "\(effects.caller)") }
            return
        }
        if case .timerFired = lastEvent, let wakeAt = effects.wakeAt, wakeAt <= now {
            object(.timerMovesOn, call, now, "woken, and wants to be woken at once again")
        }
        let ended = endRunning(effects, &account, call, now)
        if let ended, effects.caller.isNothing, !isLeaving, account.running.isEmpty {
            granted(after: ended, immediately: effects.start != nil, &account, call, now)
        }
        if let start = effects.start { started(start, &account, call, now, edge()) }
        answeredCaller(effects, &account, call, now)
        if !account.isOver, effects.wakeAt == nil, account.deadline < .distantFuture, !account.headForwarded, !isQuiet {
            object(.timerMovesOn, call, now, "under way, and nothing would end it")
        }
    }

    private var isLeaving: Bool { if case .callerLeft = lastEvent { true } else { false } }
    /// Events that are answered by nothing.
    private var isQuiet: Bool {
        switch lastEvent {
        case .connected, .progressed, .replayOverflowed: true
        default: false
        }
    }

    private mutating func endRunning(
        _ effects: Effects, _ account: inout CallAccount, _ call: Int, _ now: Instant
    ) -> RunningAttempt? {
        var last: RunningAttempt?
        switch lastEvent {
        case .failed, .ended: if let place = account.place(of: lastAttempt) { last = ended(place, &account) }
        case .callerLeft: while let place = account.running.indices.last { last = ended(place, &account) }
        default: break
        }
        guard effects.abandon != nil else { return last }
        if account.running.isEmpty, last == nil { object(.effectsLegal, call, now, "abandons where nothing runs") }
        if effects.only == 0 {
            while let place = account.running.indices.last { last = ended(place, &account) }
        } else if let place = account.place(of: Int(effects.only)) {
            last = ended(place, &account)
        }
        return last
    }

    private mutating func ended(_ place: Int, _ account: inout CallAccount) -> RunningAttempt {
        let attempt = account.running.remove(at: place)
        running[attempt.instance, default: 0] -= 1
        if attempt.isProbe { probing.remove(attempt.instance) }
        return attempt
    }

    /// Another attempt was granted: now, or after a wait.
    private mutating func granted(
        after attempt: RunningAttempt, immediately: Bool, _ account: inout CallAccount, _ call: Int, _ now: Instant
    ) {
        if account.isForbidden { object(.forbiddenIsNotRetried, call, now, "retried although the upstream forbade it") }
        guard attempt.mayBeSent || !immediately else {
            if account.leftUnsent.contains(attempt.instance) {
                object(.unsentOncePerEndpoint, call, now, "left \(attempt.instance) free of charge again")
            }
            account.leftUnsent.append(attempt.instance)
            return
        }
        if let due = account.retryNotBefore, due > account.deadline, account.uploadingSince == nil {
            object(.deadlineKept, call, now, "waits for a retry until \(due.nanoseconds) ns, past its deadline")
        }
        charge(&account, call, now)
    }

    /// A retry or a hedge is paid for.
    private mutating func charge(_ account: inout CallAccount, _ call: Int, _ now: Instant) {
        charged += 1
        let allowed = allowedRetries(at: now)
        if Double(charged) > allowed + 1e-6 { object(.retriesWithinBudget, call, now, "\(charged) retries of \(allowed)") }
        guard !account.isRetrying else { return }
        account.isRetrying = true
        retrying += 1
        if Double(retrying) > max(3, policy.retry.budgetRatio * Double(active)) {
            object(.fewRetryingAtOnce, call, now, "\(retrying) of \(active) are retrying")
        }
    }

    private mutating func started(
        _ start: Attempt, _ account: inout CallAccount, _ call: Int, _ now: Instant, _ edge: DestinationStatistics
    ) {
        let instance = start.endpoint.endpoint.instance
        if start.isHedge { hedged(start, &account, call, now) }
        if !start.isHedge, !account.running.isEmpty { object(.effectsLegal, call, now, "starts an attempt beside another") }
        if account.isCommitted || account.headForwarded {
            if account.attempts > 0 { object(.noRetryAfterCommit, call, now, "attempt \(start.number)") }
        }
        if account.attempts == 0 {
            admitted += 1
            active += 1
        }
        if !start.isHedge, let due = account.retryNotBefore, now != due {
            object(.retryAfterHonoured, call, now, "asked for \(due.nanoseconds) ns")
        }
        if !start.isHedge, let due = account.retryNotSooner, now < due {
            object(.retryAfterHonoured, call, now, "asked for no sooner than \(due.nanoseconds) ns")
        }
        account.retryNotBefore = nil
        account.attempts += 1
        if start.number != account.attempts { object(.effectsLegal, call, now, "attempt \(start.number) after \(account.attempts - 1)") }
        if account.attempts > AttemptLog.capacity { object(.attemptsBounded, call, now, "\(account.attempts) attempts") }
        if !takers.contains(instance) { object(.drainingGetsNoCalls, call, now, "\(instance)") }
        checkEjections(instance, edge, call, now)
        if account.tried.contains(instance),
            let other = edge.endpoints.first(where: {
                !$0.takesNoCalls && $0.breaker == .closed && (!$0.isEjected || edge.isPanicking) && !account.tried.contains($0.instance)
            })
        {
            object(.otherEndpointFirst, call, now, "tried \(instance) again, and never \(other.instance)")
        }
        account.tried.append(instance)
        var attempt = RunningAttempt(number: start.number, instance: instance)
        switch edge.endpoints.first(where: { $0.instance == instance })?.breaker {
        case .halfOpen:
            attempt.isProbe = true
            if !probing.insert(instance).inserted { object(.oneProbePerEndpoint, call, now, "a second probe of \(instance)") }
            checkOpenTime(instance, edge, call, now)
        case .open:
            object(.openBreakerHolds, call, now, "\(instance)")
        case .closed, nil:
            break
        }
        account.running.append(attempt)
        running[instance, default: 0] += 1
        calls[call] = account
        checkLoans(edge, call, now)
    }

    private mutating func hedged(_ start: Attempt, _ account: inout CallAccount, _ call: Int, _ now: Instant) {
        hedges += 1
        if account.running.count != 1 { object(.twoAtMost, call, now, "a hedge beside \(account.running.count) attempts") }
        if account.tried.contains(start.endpoint.endpoint.instance) {
            object(.hedgesGoToOthers, call, now, "a hedge to \(start.endpoint.endpoint.instance) again")
        }
        if account.isForbidden { object(.forbiddenIsNotRetried, call, now, "hedged although the upstream forbade it") }
        if Double(hedges) > allowedHedges + 1e-6 { object(.hedgesWithinShare, call, now, "\(hedges) hedges of \(allowedHedges)") }
        charge(&account, call, now)
    }

    private mutating func checkEjections(_ instance: InstanceID, _ edge: DestinationStatistics, _ call: Int, _ now: Instant) {
        let takers = edge.endpoints.filter { !$0.takesNoCalls }
        let ejected = takers.filter(\.isEjected)
        guard !ejected.isEmpty || edge.isPanicking else { return }
        // Who was ejected and now goes by its breaker is probed.
        if !edge.isPanicking, ejected.contains(where: { $0.instance == instance && $0.breaker == .closed }) {
            object(.ejectedGetsNoCalls, call, now, "\(instance)")
        }
        let left = takers.count { !$0.isEjected && $0.breaker == .closed }
        if edge.isPanicking != (!ejected.isEmpty && OutlierDetection.isPanic(left: left, of: takers.count)) {
            object(.ejectionsBounded, call, now, "panic is \(edge.isPanicking) with \(left) of \(takers.count) left")
        }
    }

    /// A breaker that is half-open was open for its time, or, while nothing else was usable, for two seconds.
    private mutating func checkOpenTime(_ instance: InstanceID, _ edge: DestinationStatistics, _ call: Int, _ now: Instant) {
        for event in edge.events.reversed() where event.instance == instance {
            guard case .opened(_, _, _, let span) = event.change else { continue }
            if now < event.at + min(span, Breaker.mostAlone) { object(.openBreakerHolds, call, now, "\(instance) was probed too soon") }
            return
        }
    }

    private mutating func answeredCaller(_ effects: Effects, _ account: inout CallAccount, _ call: Int, _ now: Instant) {
        switch effects.caller {
        case .nothing:
            break
        case .forwardHead:
            if account.headForwarded { object(.effectsLegal, call, now, "forwards a second head") }
            checkDeadline(account, call, now)
            account.headForwarded = true
            // What a probe was to find out is known.
            for place in account.running.indices where account.running[place].isProbe {
                probing.remove(account.running[place].instance)
                account.running[place].isProbe = false
            }
            if account.running.count != 1 || lastAttempt != 0 && account.running[0].number != lastAttempt {
                object(.firstAnswerWins, call, now, "\(account.running.count) attempts run on behind the head of attempt \(lastAttempt)")
            }
        case .complete:
            if !account.headForwarded { object(.effectsLegal, call, now, "completes without a head") }
            account.isOver = true
        case .fail:
            if account.headForwarded { object(.effectsLegal, call, now, "answers a second time") }
            checkDeadline(account, call, now)
            account.isOver = true
        case .reset:
            if !account.headForwarded { object(.effectsLegal, call, now, "resets before a head") }
            account.isOver = true
        }
        if isLeaving {
            if !effects.caller.isNothing { object(.nothingAfterTheEnd, call, now, "answers a caller that left") }
            account.isOver = true
        }
        if account.isOver {
            if !account.running.isEmpty { object(.loansReturned, call, now, "an attempt outlives its call") }
            if account.attempts > 0 { active -= 1 }
            if account.isRetrying { retrying -= 1 }
            checkSent(account, call, now)
        }
    }

    private mutating func checkDeadline(_ account: CallAccount, _ call: Int, _ now: Instant) {
        if account.uploadingSince == nil, now > account.deadline {
            object(.deadlineKept, call, now, "the deadline was \(account.deadline.nanoseconds) ns")
        }
    }

    private mutating func checkSent(_ account: CallAccount, _ call: Int, _ now: Instant) {
        let isRepeatable =
            account.facts.isMarkedIdempotent
            || !account.facts.method.isEmpty && account.facts.method.isSubset(of: policy.retry.methods)
        if !isRepeatable || policy.retry.never, account.sent > 1 {
            object(.sentOnceUnlessRepeatable, call, now, "sent \(account.sent) times")
        }
        if account.sent > policy.retry.attempts { object(.attemptsBounded, call, now, "sent \(account.sent) times") }
    }

    private mutating func checkLoans(_ edge: DestinationStatistics, _ call: Int, _ now: Instant) {
        if edge.active != active { object(.loansReturned, call, now, "\(edge.active) active calls, expected \(active)") }
        for endpoint in edge.endpoints where endpoint.isProbing && !probing.contains(endpoint.instance) {
            object(.loansReturned, call, now, "the lease of \(endpoint.instance)'s probe is nobody's")
        }
        for endpoint in edge.endpoints where endpoint.inFlight != running[endpoint.instance] ?? 0 {
            object(
                .loansReturned, call, now,
                "\(endpoint.inFlight) in flight on \(endpoint.instance), expected \(running[endpoint.instance] ?? 0)")
        }
    }

    /// All calls are said to be over.
    package mutating func finished(_ edge: DestinationStatistics, at now: Instant) {
        for (call, account) in calls.sorted(by: { $0.key < $1.key }) where !account.isOver {
            object(.oneTerminalEffect, call, now, "never ended")
        }
        checkLoans(edge, -1, now)
        if edge.active != 0 || edge.retrying != 0 || edge.pending != 0 || edge.endpoints.contains(where: { $0.inFlight != 0 }) {
            object(.loansReturned, -1, now, "\(edge.active) active, \(edge.retrying) retrying, \(edge.pending) pending at rest")
        }
    }

    private mutating func object(_ rule: Rule, _ call: Int, _ now: Instant, _ detail: String) {
        violations.append(Violation(rule: rule, call: call, at: now, detail: detail))
    }
}

extension CallerEffect {
    var isNothing: Bool { if case .nothing = self { true } else { false } }
}
