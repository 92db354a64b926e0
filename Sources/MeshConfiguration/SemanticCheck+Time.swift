import MeshExchange
import MeshModel
import MeshPolicy

// The arithmetic of deadlines and retries over the tiers.

extension SemanticCheck {
    /// One edge whose policy is judged: a call, or all routes together by the defaults.
    private struct Edge {
        var subject: String
        var manner: MeshDocument.Call.Manner
        var mark: SourceMark
        var token: String
    }

    /// The calls that say something about the time of attempts themselves, and the defaults, once, for all others.
    private var edges: [Edge] {
        var edges: [Edge] = []
        if let entry = root.entry("defaults") {
            edges.append(Edge(subject: "defaults", manner: document.defaults, mark: entry.keyMark, token: "defaults"))
        }
        for service in document.services {
            for call in service.calls where ["timeout", "attempt_timeout", "retry"].contains(where: { call.manner.ownNode[$0] != nil }) {
                edges.append(Edge(subject: "\(service.name) -> \(call.service)", manner: call.manner, mark: call.mark, token: call.service))
            }
        }
        return edges
    }

    /// Attempt timeout against total timeout, and all attempts with their pauses against it (M030, M033).
    mutating func checkAttemptTimes() {
        for edge in edges {
            let own = edge.manner.ownNode["attempt_timeout"] ?? (edge.subject == "defaults" ? edge.manner.node["attempt_timeout"] : nil)
            checkAttempts(
                of: edge.subject, edge.manner.policy, within: edge.manner.policy.timeout, at: own?.mark ?? edge.mark,
                token: own?.scalar?.raw ?? edge.token)
        }
        for route in document.gateway?.routes ?? [] {
            guard let timeout = route.timeout, let mark = route.timeoutMark else { continue }
            checkAttempts(of: route.name, document.defaults.policy, within: timeout, at: mark, token: timeout.configurationText)
        }
    }

    private mutating func checkAttempts(
        of subject: String, _ policy: CallPolicy, within timeout: Timespan, at mark: SourceMark, token: String
    ) {
        guard let attempt = policy.attemptTimeout else { return }
        guard attempt < timeout else {
            findings.report(
                .attemptTimeoutTooLong, at: mark, token: token,
                "\(subject): one attempt may take \(attempt.configurationText), the whole call only \(timeout.configurationText)",
                fix: "set attempt_timeout below \(timeout.configurationText), or leave it out")
            return
        }
        guard !policy.retry.never, policy.retry.attempts > 1 else { return }
        let attempts = policy.retry.attempts
        var pauses = Timespan.zero
        var pause = policy.retry.backoff.base
        for _ in 1..<attempts {
            pauses = pauses + Swift.min(pause, policy.retry.backoff.cap)
            pause = pause * Int64(2)
        }
        let whole = attempt * Int64(attempts) + pauses
        guard whole > timeout else { return }
        let room = timeout - pauses
        let fix =
            room.milliseconds > attempts
            ? "attempt_timeout <= \(Timespan.milliseconds(room.milliseconds / Int64(attempts)).configurationText), or a longer timeout"
            : "fewer attempts, or a longer timeout"
        findings.report(
            .retriesExceedDeadline, at: mark, token: token,
            "\(subject): \(attempts) attempts of \(attempt.configurationText) and \(pauses.configurationText) between them take \(whole.configurationText), but the call ends after \(timeout.configurationText)",
            fix: fix)
    }

    /// What is left for the calls of a service, and who says so.
    private struct Remainder {
        var time: Timespan
        var giver: String
        /// Somebody wrote that number, so that a longer one below it is worth a word although nobody wrote that.
        var isStated: Bool
    }

    /// A child's timeout against what its parent has left (M031).
    mutating func checkRemainders() {
        var remainders: [String: Remainder] = [:]
        if let gateway = document.gateway { remainders = remaindersOfRoutes(gateway) }
        // They only shrink, and only to one of finitely many values: at most one round per service changes something.
        for _ in document.services {
            var changed = false
            for service in document.services {
                for call in service.calls {
                    let time = call.policy.timeout
                    let isStated = call.manner.node["timeout"] != nil
                    var passed = Remainder(time: time, giver: "\(service.name) -> \(call.service)", isStated: isStated)
                    if let inherited = remainders[service.name], inherited.time < time { passed = inherited }
                    if passed.time < remainders[call.service]?.time ?? Timespan(nanoseconds: .max) {
                        remainders[call.service] = passed
                        changed = true
                    }
                }
            }
            if !changed { break }
        }
        for service in document.services {
            guard let remainder = remainders[service.name] else { continue }
            for call in service.calls where call.policy.timeout > remainder.time {
                guard remainder.isStated || call.manner.node["timeout"] != nil, call.service != service.name else { continue }
                findings.report(
                    .childTimeoutTooLong, at: call.mark, token: call.service,
                    "\(remainder.giver) allows \(remainder.time.configurationText), but \(service.name) -> \(call.service) may wait \(call.policy.timeout.configurationText)",
                    fix: "services.\(service.name).calls.\(call.service).timeout <= \(Self.below(remainder.time).configurationText)")
            }
        }
    }

    /// The tightest route to each service; on the way, routes that may last longer than the gateway's deadline.
    private mutating func remaindersOfRoutes(_ gateway: MeshDocument.Gateway) -> [String: Remainder] {
        var remainders: [String: Remainder] = [:]
        let general = document.defaults.policy.timeout
        let generalNode = document.defaults.node["timeout"]
        for route in gateway.routes {
            let deadline: Timespan? =
                switch route.deadline {
                case .standard: gateway.deadline
                case .none: nil
                case .after(let time): time
                }
            let timeout = route.timeout ?? general
            var remainder = Remainder(time: timeout, giver: route.name, isStated: route.timeout != nil || generalNode != nil)
            if let deadline, deadline < timeout {
                if let mark = route.timeoutMark {
                    findings.report(
                        .childTimeoutTooLong, at: mark, token: timeout.configurationText,
                        "the deadline is \(deadline.configurationText), but \(route.name) may wait \(timeout.configurationText)",
                        fix: "a timeout of \(deadline.configurationText) at most, or a longer deadline")
                } else if let generalNode {
                    findings.report(
                        .childTimeoutTooLong, at: generalNode.mark, token: generalNode.scalar?.raw ?? "",
                        "the gateway's deadline is \(deadline.configurationText), but by default a route may wait \(timeout.configurationText)",
                        fix: "a timeout of \(deadline.configurationText) at most, or a longer gateway.deadline")
                }
                // What nobody wrote down is no promise that could be broken.
                remainder = Remainder(time: deadline, giver: route.name, isStated: false)
            }
            for target in route.targets where remainder.time < remainders[target.service]?.time ?? Timespan(nanoseconds: .max) {
                remainders[target.service] = remainder
            }
        }
        return remainders
    }

    /// A little less than what the parent has, so that it can still answer: 20 ms, or a tenth where that is less.
    private static func below(_ time: Timespan) -> Timespan {
        let margin = Swift.min(20, time.milliseconds / 10)
        return time.milliseconds > margin ? .milliseconds(time.milliseconds - Swift.max(margin, 1)) : time
    }
}

// MARK: - Retries

extension SemanticCheck {
    /// The most that one request may become at one service without a word about it.
    private static let mostArrivals = 4

    /// The worst way from a route to a service: the callers on it, and how often each of them tries.
    private struct Way {
        var factor: Int
        var steps: [(caller: String, attempts: Int)]
    }

    /// Retries of one tier times those of the next (M032). The graph must have no cycle.
    mutating func checkRetryMultiplication() {
        guard let gateway = document.gateway else { return }
        var worst: [String: (count: Int, report: (inout FindingCollector) -> Void)] = [:]
        let edge = document.tiers.first ?? MeshDocument.gatewayName
        let order = Array(document.services.map(\.name).sorted { rank($0) < rank($1) })
        let credit = gateway.retryCredit.grant
        for route in gateway.routes {
            let attempts = attempts(of: route)
            var ways: [String: Way] = [:]
            for target in route.targets { ways[target.service] = Way(factor: attempts, steps: [(edge, attempts)]) }
            for name in order {
                guard let way = ways[name], let service = document.service(named: name) else { continue }
                for call in service.calls {
                    let tries = call.policy.retry.never ? 1 : call.policy.retry.attempts
                    if way.factor * tries > ways[call.service]?.factor ?? 0 {
                        ways[call.service] = Way(factor: way.factor * tries, steps: way.steps + [(name, tries)])
                    }
                }
            }
            for (name, way) in ways {
                guard let last = way.steps.last, last.attempts > 1, way.steps.count > 1 else { continue }
                let arrivals = credit.map { Swift.min(way.factor, 1 + $0) } ?? way.factor
                guard arrivals > Self.mostArrivals, let caller = document.service(named: last.caller),
                    let call = caller.calls.first(where: { $0.service == name })
                else { continue }
                let key = "\(last.caller) \(name)"
                guard arrivals > worst[key]?.count ?? 0 else { continue }
                let request = route.method == nil ? "GET \(route.name)" : route.name
                let steps = way.steps.filter { $0.attempts > 1 }.map { "\($0.caller) \($0.attempts)" }.joined(separator: " x ")
                let creditText = credit.map { "retry_credit is \($0)" } ?? "retry_credit is off"
                let allowed = Self.mostArrivals / (way.factor / last.attempts)
                let path = "services.\(last.caller).calls.\(name).retry"
                worst[key] = (
                    arrivals,
                    { findings in
                        findings.report(
                            .retryMultiplication, at: call.mark, token: name,
                            "one \(request) can become \(arrivals) calls to \(name) (\(steps); \(creditText))",
                            fix: allowed > 1 ? "\(path).attempts <= \(allowed)" : "\(path): never")
                    }
                )
            }
        }
        for (_, entry) in worst.sorted(by: { $0.key < $1.key }) { entry.report(&findings) }
    }

    /// Callers before callees.
    private func rank(_ name: String) -> Int {
        var ranks: [String: Int] = [:]
        func depth(_ name: String) -> Int {
            if let known = ranks[name] { return known }
            let below = document.service(named: name)?.calls.map { depth($0.service) }.max() ?? 0
            ranks[name] = below + 1
            return below + 1
        }
        return -depth(name)
    }

    /// How often the gateway sends a request of a route, at most.
    private func attempts(of route: MeshDocument.Route) -> Int {
        let retry = document.defaults.policy.retry
        guard !retry.never else { return 1 }
        let mayRepeat = route.isIdempotent || !retry.methods.intersection(MethodSet(named: route.method ?? "GET")).isEmpty
        return mayRepeat ? retry.attempts : 1
    }

    /// Methods that are repeated although sending twice does harm (M034).
    mutating func checkUnsafeRetries() {
        for service in document.services {
            for call in service.calls {
                guard let (method, node) = unsafeMethod(call.manner.ownNode), call.policy.retry.attempts > 1 else { continue }
                findings.report(
                    .retryOfUnsafeMethod, at: node.mark, token: method,
                    "\(service.name) -> \(call.service) repeats \(method), which may then be done twice",
                    fix: "send an Idempotency-Key (then it is repeated anyway), and take \(method) out of retry.methods")
            }
        }
        guard let (method, _) = unsafeMethod(document.defaults.node), document.defaults.policy.retry.attempts > 1 else { return }
        for route in document.gateway?.routes ?? [] where !route.isIdempotent && (route.method == nil || route.method == method) {
            findings.report(
                .retryOfUnsafeMethod, at: route.mark, token: route.name,
                "\(route.name) repeats \(method), which may then be done twice: defaults.retry.methods has it, and the route isn't idempotent",
                fix: "take \(method) out of defaults.retry.methods, or say 'idempotent: true' on the route")
        }
    }

    private func unsafeMethod(_ node: ConfigurationNode) -> (String, ConfigurationNode)? {
        for element in node[path: "retry", "methods"]?.elements ?? [] {
            if let method = element.text, method == "POST" || method == "PATCH" { return (method, element) }
        }
        return nil
    }

    /// A share of the endpoints that is less than one of them (M035).
    mutating func checkEjection() {
        for service in document.services {
            for call in service.calls {
                let isOwn = call.manner.ownNode[path: "eject", "max"] != nil
                guard let node = call.manner.node[path: "eject", "max"], let share = node.share,
                    let callee = document.service(named: call.service), callee.endpointCount > (isOwn ? 0 : 1)
                else { continue }
                let count = callee.endpointCount
                guard Int(Double(count) * share + 1e-9) == 0 else { continue }
                let mark = isOwn ? node.mark : call.mark
                let percent = Int((100 / Double(count)).rounded(.up))
                findings.report(
                    .ejectionRoundsToNothing, at: mark, token: isOwn ? node.scalar?.raw ?? "" : call.service,
                    "\(service.name) -> \(call.service): \(node.scalar?.text ?? "") of \(count) endpoint\(count == 1 ? "" : "s") is none",
                    fix: count == 1 ? "eject: off" : "eject.max >= \(percent)%, or more replicas")
            }
        }
    }
}
