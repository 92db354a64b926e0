package import MeshModel
import MeshTelemetry

/// One trace with all that can be said of it without knowing others: where its time went, what retries cost, what is missing.
package struct TraceAnalysis: Hashable, Sendable {
    package struct Share: Hashable, Sendable {
        package var name: String
        /// On the critical path.
        package var time: Timespan
    }

    package struct Retries: Hashable, Sendable {
        package var destination: String
        package var count: Int

        package init(destination: String, count: Int) {
            self.destination = destination
            self.count = count
        }
    }

    /// What a stretch of the critical path is counted to, where many traces are added up: each nanosecond to one of them.
    package enum Part: Hashable, Sendable {
        case service(tier: String, name: String)
        /// Tries that were followed by another, whatever happened below them, and the waits before those.
        case retries
        /// Between the services: queues, connections, the wire, the mesh itself.
        case mesh
    }

    /// The spans in their places: those of other hosts are moved as far as their clocks are found to differ.
    package let tree: TraceTree
    package let clocks: ClockOffsets
    package let path: CriticalPath
    /// The root's duration.
    package let duration: Timespan
    /// Per tier, from the root's on in the order in which the trace reached them.
    package let tiers: [Share]
    /// Per service, the largest first.
    package let services: [Share]
    /// They add up to the duration.
    package let parts: [Part: Timespan]
    /// Between the services: queues, connections, the wire, the mesh itself.
    package let overhead: Timespan
    /// Waiting before retries.
    package let backoff: Timespan
    /// Failed tries that were followed by another, and the backoff before those.
    package let retryCost: Timespan
    /// Tries beyond the first of their call, by destination, in the order of their starts.
    package let retries: [Retries]
    /// Tries beside another one.
    package let hedges: [Retries]
    /// What is not there although something that is there speaks of it.
    package let missing: [String]

    package var isComplete: Bool { missing.isEmpty }

    /// Whether it is work that goes on after a request, and that nobody waits for.
    package var isDetached: Bool { tree.root?.span.isTrue(.detached) ?? false }

    /// - Parameter raw: by what the clocks of the hosts said.
    package init(_ raw: TraceTree) {
        let clocks = ClockOffsets(raw)
        self.clocks = clocks
        let tree = clocks.estimates.isEmpty ? raw : TraceTree(clocks.placing(raw.nodes.map(\.span)))
        self.tree = tree
        let path = CriticalPath(tree)
        self.path = path
        duration = tree.root?.span.duration ?? .zero
        // A destination's tier by its own word, where the caller did not say it.
        var tierOfService: [String: String] = [:]
        for node in tree.nodes { tierOfService[node.span.origin.service] = node.span.origin.tier }
        var tiers: [String: Timespan] = [:]
        var order: [String] = []
        var services: [String: Timespan] = [:]
        var overhead = Timespan.zero
        var backoff = Timespan.zero
        var retryCost = Timespan.zero
        var retries: [Retries] = []
        var hedges: [Retries] = []
        var missing: [String] = []
        var parts: [Part: Timespan] = [:]
        var isBelowRetried = [Bool](repeating: false, count: tree.nodes.count)

        func count(_ destination: String, in list: inout [Retries]) {
            if let known = list.firstIndex(where: { $0.destination == destination }) {
                list[known].count += 1
            } else {
                list.append(Retries(destination: destination, count: 1))
            }
        }

        func spend(_ time: Timespan, service: String, tier: String) {
            if tiers[tier] == nil { order.append(tier) }
            tiers[tier, default: .zero] += time
            services[service, default: .zero] += time
        }

        for (index, node) in tree.nodes.enumerated() {
            let span = node.span
            let time = path.own[index]
            let destination = span.text(.destination)
            isBelowRetried[index] =
                (node.parent.map { isBelowRetried[$0] } ?? false) || span.kind == .backoff || span.kind == .attempt && span.isTrue(.retried)
            let meshBefore = overhead
            var spentOn = (service: span.origin.service, tier: span.origin.tier)
            switch span.kind {
            case .gateway, .server, .internal: spend(time, service: span.origin.service, tier: span.origin.tier)
            case .queue:
                // An injected delay is waited for before the request goes out, in the place of the one called.
                if let attempt = node.parent.map({ tree.nodes[$0] }), attempt.span[.fault] != nil,
                    let played = attempt.span.text(.destination)
                {
                    let call = attempt.parent.map { tree.nodes[$0].span }
                    spentOn = (played, call?.text(.destinationTier) ?? tierOfService[played] ?? "outside")
                    spend(time, service: spentOn.service, tier: spentOn.tier)
                } else {
                    overhead += time
                }
            case .call, .rejection: overhead += time
            case .backoff: backoff += time
            case .attempt:
                let call = node.parent.map { tree.nodes[$0].span }
                let isExternal = span.isTrue(.external) || call?.isTrue(.external) ?? false
                let isAnsweredByMesh = node.children.contains { tree.nodes[$0].span.kind == .server }
                if !isAnsweredByMesh || span[.fault] != nil, let destination {
                    // No word from the other side, or a fault that plays it: the time was spent waiting for it.
                    spentOn = (
                        destination,
                        span.text(.destinationTier) ?? call?.text(.destinationTier) ?? tierOfService[destination] ?? "outside"
                    )
                    spend(time, service: spentOn.service, tier: spentOn.tier)
                } else {
                    overhead += time
                }
                let number = span.integer(.attempt) ?? 1
                if number > 1, let destination {
                    if span[.hedge] != nil { count(destination, in: &hedges) } else { count(destination, in: &retries) }
                }
                if span.isTrue(.retried) { retryCost += path.total[index] }
                if !isAnsweredByMesh, span.integer(.httpResponseStatusCode) != nil, !isExternal, span[.flag] == nil, span[.fault] == nil {
                    missing.append("the span of \(destination ?? "the service") under attempt \(number) of \(span.origin.service)")
                }
            }
            // A service that was reached stands in the list even when the path spends nothing in it.
            let isReached = (span.kind == .gateway || span.kind == .server) && !isBelowRetried[index]
            if time > .zero || isReached {
                let part: Part =
                    isBelowRetried[index]
                    ? .retries : overhead > meshBefore ? .mesh : .service(tier: spentOn.tier, name: spentOn.service)
                parts[part, default: .zero] += time
            }
        }
        retryCost += backoff
        if !tree.nodes.isEmpty, !tree.isRooted { missing.append("the root span") }
        for orphan in tree.orphans {
            missing.append("the parent of \(orphan.span.origin.service)'s span '\(orphan.span.name)'")
        }
        self.tiers = order.map { Share(name: $0, time: tiers[$0] ?? .zero) }
        self.services = services.map { Share(name: $0.key, time: $0.value) }
            .sorted { $0.time != $1.time ? $0.time > $1.time : $0.name < $1.name }
        self.parts = parts
        self.overhead = overhead
        self.backoff = backoff
        self.retryCost = retryCost
        self.retries = retries
        self.hedges = hedges
        self.missing = missing
    }

    /// `1 retry inventory, 1 hedge crm`; nil where nothing is to be said.
    package var note: String? {
        var parts = retries.map { "\($0.count) \($0.count == 1 ? "retry" : "retries") \($0.destination)" }
        parts += hedges.map { "\($0.count) \($0.count == 1 ? "hedge" : "hedges") \($0.destination)" }
        if isDetached { parts.append("detached") }
        if !isComplete { parts.append("incomplete") }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }
}
