import MeshExchange
import MeshModel

/// What is wrong although every key and value can be read: judged on the merged document, so that it knows what `include:`, a profile and
/// `defaults:` brought.
struct SemanticCheck {
    let document: MeshDocument
    let root: ConfigurationNode
    let environment: any ConfigurationEnvironment
    var findings: FindingCollector

    static func check(
        _ document: MeshDocument, root: ConfigurationNode, environment: any ConfigurationEnvironment, findings: inout FindingCollector
    ) {
        var check = SemanticCheck(document: document, root: root, environment: environment, findings: findings)
        check.checkTiers()
        check.checkCalls()
        let isAcyclic = check.checkCycles()
        check.checkReachability()
        check.checkRoutes()
        check.checkRouteDetails()
        check.checkAttemptTimes()
        check.checkRemainders()
        if isAcyclic { check.checkRetryMultiplication() }
        check.checkUnsafeRetries()
        check.checkEjection()
        check.checkWeights()
        check.checkAvailability()
        check.checkPorts()
        check.checkExecutables()
        check.checkCertificates()
        check.checkSecrets()
        check.checkVariableFiles()
        findings = check.findings
    }
}

// MARK: - Graph

extension SemanticCheck {
    private var serviceNames: [String] { document.services.map(\.name) }

    private mutating func checkTiers() {
        for service in document.services {
            if service.name == MeshDocument.gatewayName {
                findings.report(
                    .wrongName, at: service.mark, token: service.name,
                    "a service can't be called '\(service.name)': that is the gateway's name",
                    suggestion: "choose another name")
            }
            guard !service.tier.isEmpty, !document.tiers.contains(service.tier) else { continue }
            findings.report(
                .unknownTier, at: service.tierMark, token: service.tier,
                "services.\(service.name) stands in an unknown tier '\(service.tier)'",
                suggestion: Suggestion.text(for: service.tier, among: document.tiers), allowed: document.tiers)
        }
    }

    private mutating func checkCalls() {
        for target in (document.gateway?.routes ?? []).flatMap(\.targets) {
            guard let callee = document.service(named: target.service) else {
                reportUnknown(target.service, at: target.mark, "a route leads to '\(target.service)', which is no service")
                continue
            }
            checkOrder(from: MeshDocument.gatewayName, in: document.tiers.first ?? "", to: callee, at: target.mark, token: target.service)
        }
        for service in document.services {
            for call in service.calls {
                guard let callee = document.service(named: call.service) else {
                    reportUnknown(call.service, at: call.mark, "\(service.name) calls '\(call.service)', which is no service")
                    continue
                }
                checkOrder(from: service.name, in: service.tier, to: callee, at: call.mark, token: call.service)
            }
        }
        // Copies go to a service, too.
        for target in mirrorTargets where document.service(named: target.service) == nil {
            reportUnknown(target.service, at: target.mark, "a route is mirrored to '\(target.service)', which is no service")
        }
    }

    private var mirrorTargets: [(service: String, mark: SourceMark)] {
        let routes = root[path: "gateway", "routes"]
        let nodes = routes?.list ?? (routes?.entries ?? []).map(\.value)
        return nodes.compactMap { node in
            guard let to = node[path: "mirror", "to"], let name = to.name else { return nil }
            return (name, to.mark)
        }
    }

    private mutating func reportUnknown(_ name: String, at mark: SourceMark, _ message: String) {
        findings.report(
            .unknownService, at: mark, token: name, message, suggestion: Suggestion.text(for: name, among: serviceNames),
            allowed: serviceNames)
    }

    private mutating func checkOrder(
        from caller: String, in tier: String, to callee: MeshDocument.Service, at mark: SourceMark, token: String
    ) {
        guard caller != callee.name, let from = document.tiers.firstIndex(of: tier), let to = document.tiers.firstIndex(of: callee.tier)
        else { return }
        if from > to {
            findings.report(
                .callAgainstTiers, at: mark, token: token,
                "\(caller) (\(tier)) must not call \(callee.name) (\(callee.tier)): calls go from \(document.tiers.joined(separator: " to "))",
                fix: "move one of the two to another tier, or turn the call around")
        } else if from == to, !document.allowsCallsWithinTier {
            findings.report(
                .callAgainstTiers, at: mark, token: token, "\(caller) must not call \(callee.name): both are in tier \(tier)",
                fix: "set 'same_tier: true', or move one of the two to another tier")
        }
    }

    /// - Returns: whether there is none.
    private mutating func checkCycles() -> Bool {
        var done: Set<String> = []
        var path: [String] = []
        var isAcyclic = true
        var collector = findings
        func visit(_ service: MeshDocument.Service) {
            path.append(service.name)
            for call in service.calls {
                if let start = path.firstIndex(of: call.service) {
                    isAcyclic = false
                    let cycle = (path[start...] + [call.service]).joined(separator: " -> ")
                    collector.report(
                        .callCycle, at: call.mark, token: call.service, "calls go in a circle: \(cycle)", fix: "remove one of these calls")
                } else if !done.contains(call.service), let callee = document.service(named: call.service) {
                    visit(callee)
                }
            }
            path.removeLast()
            done.insert(service.name)
        }
        for service in document.services where !done.contains(service.name) { visit(service) }
        findings = collector
        return isAcyclic
    }

    private mutating func checkReachability() {
        guard let gateway = document.gateway, !gateway.routes.isEmpty else { return }
        var reached: Set<String> = []
        var waiting = gateway.routes.flatMap(\.targets).map(\.service) + mirrorTargets.map(\.service)
        while let name = waiting.popLast() {
            guard reached.insert(name).inserted, let service = document.service(named: name) else { continue }
            waiting += service.calls.map(\.service)
        }
        for service in document.services where !reached.contains(service.name) {
            findings.report(
                .unreachableService, at: service.mark, token: service.name,
                "nothing leads to \(service.name): no route, and no call of a reachable service",
                fix: "add a route to it, list it under a caller's 'calls', or remove it")
        }
    }

    private mutating func checkRoutes() {
        guard let gateway = document.gateway else { return }
        var first: [MatchedRequests: MeshDocument.Route] = [:]
        for route in gateway.routes {
            let matched = MatchedRequests(of: route)
            let earlier = matched.flatMap { first[$0] }
            if let matched, earlier == nil { first[matched] = route }
            let segments = route.pattern.split(separator: "/")
            if segments.contains(where: { $0 == "." || $0 == ".." }) {
                findings.report(
                    .unreachableRoute, at: route.mark, token: route.name,
                    "no request reaches \(route.name): paths are matched without . and ..",
                    fix: "write the path as it is after the dots are worked off")
            } else if route.pattern == gateway.healthPath {
                findings.report(
                    .unreachableRoute, at: route.mark, token: route.name,
                    "no request reaches \(route.name): the gateway answers that path itself",
                    fix: "choose another path, or set gateway.health to another one")
            } else if let earlier {
                findings.report(
                    .unreachableRoute, at: route.mark, token: route.name,
                    "no request reaches \(route.name): \(earlier.name) in line \(earlier.mark.line) takes the same ones",
                    fix: "remove one of the two")
            }
        }
    }
}

/// The requests that a route matches: where two routes have the same, the first one gets them all. A more specific route is no rival: it wins.
private struct MatchedRequests: Hashable {
    private var method: String?
    private var pattern: RoutePattern
    private var conditions: RouteConditions

    /// Nil for a pattern that can't be read.
    init?(of route: MeshDocument.Route) {
        guard let pattern = try? RoutePattern(route.pattern) else { return nil }
        self.pattern = pattern
        method = route.method
        conditions = route.conditions
    }
}
