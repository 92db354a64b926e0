import Foundation
import Logging
import MeshAdminAPI
import MeshConfiguration
import MeshModel
import MeshPolicy
import MeshSupervision
import MeshTelemetry

// What is known of the edges of the graph, and trouble made on them on purpose.
extension Daemon {
    func edges() -> [EdgeStatus] { traffic.edges(now: HostClock.now()) }

    func signals() -> [ServiceSignals] { traffic.signals(now: HostClock.now()) }

    func explain(from: String, to: String) async throws -> EdgeExplanation {
        let policy = try policy(from: from, to: to)
        let replicas = await supervisor.snapshot()
        let explanation = traffic.explanation(from: from, to: to, window: policy.breaker?.window, now: HostClock.now()) { instance in
            replicas.first { $0.instance?.description == instance }?.replica
        }
        guard let explanation else {
            throw Problem(
                title: "nothing is known of \(from) -> \(to) yet", status: 404, detail: "no instance of \(from) has told of it",
                hint: "mesh ps")
        }
        return explanation
    }

    // MARK: Faults

    func faults() -> [FaultStatus] {
        let now = HostClock.now()
        let wall = HostClock.wall()
        let ordered = faultBook.orders.map { edge, order in
            FaultStatus(
                from: edge.from, to: edge.to, what: order.policy.description,
                expiresAt: Timestamp(nanoseconds: wall.nanoseconds + (order.expires - now).nanoseconds))
        }
        let written = (applied?.document).map { document in
            document.services.flatMap { service in
                service.calls.compactMap { call in
                    call.policy.fault.map { FaultStatus(from: service.name, to: call.service, what: $0.description) }
                }
            }
        }
        return (ordered + (written ?? []).filter { fault in !ordered.contains { $0.from == fault.from && $0.to == fault.to } })
            .sorted { ($0.from, $0.to) < ($1.from, $1.to) }
    }

    func order(_ request: FaultRequest) throws -> [FaultStatus] {
        _ = try policy(from: request.from, to: request.to)
        let hint = "mesh fault --help"
        guard request.delayMS != nil || request.abort != nil || request.reset else {
            throw Problem(title: "a fault needs a delay, an abort or a reset", status: 400, hint: hint)
        }
        guard request.share > 0, request.share <= 1 else {
            throw Problem(title: "a share is above 0 and at most 100%", status: 400, hint: hint)
        }
        guard request.abort.map({ (400...599).contains($0) }) ?? true, request.abort == nil || !request.reset else {
            throw Problem(title: "a fault aborts with a status from 400 to 599, or resets, but not both", status: 400, hint: hint)
        }
        guard request.forSeconds > 0, request.forSeconds <= 86_400, request.delayMS.map({ $0 > 0 && $0 <= 3_600_000 }) ?? true else {
            throw Problem(title: "a fault lasts a day at most, and delays by an hour at most", status: 400, hint: hint)
        }
        let policy = FaultPolicy(
            delay: request.delayMS.map { .seconds($0 / 1000) }, abort: request.abort, reset: request.reset, share: request.share,
            lasts: .seconds(request.forSeconds))
        faultBook.ordered(policy, on: FaultBook.Edge(from: request.from, to: request.to), now: HostClock.now())
        logger.notice("fault on \(request.from) -> \(request.to): \(policy) for \(policy.lasts?.configurationText ?? "")")
        faultsChanged()
        return faults()
    }

    /// - Parameter from: nil for every fault.
    func endFault(from: String?, to: String?) throws -> [FaultStatus] {
        if let from, let to {
            guard faultBook.removed(FaultBook.Edge(from: from, to: to)) else {
                throw Problem(title: "there is no fault on \(from) -> \(to) that could be ended", status: 404, hint: "mesh fault")
            }
        } else {
            for edge in faultBook.orders.keys { _ = faultBook.removed(edge) }
        }
        faultsChanged()
        return faults()
    }

    private func faultsChanged() {
        revise()
        publish()
        faultTimer?.cancel()
        guard let next = faultBook.nextExpiry else { return }
        faultTimer = Task {
            try? await Task.sleep(for: .nanoseconds(max(0, (next - HostClock.now()).nanoseconds)))
            guard !Task.isCancelled else { return }
            if faultBook.expire(now: HostClock.now()) { faultsChanged() }
        }
    }

    /// How calls of an edge behave.
    ///
    /// - Throws: where there is no such edge, with those that there are.
    private func policy(from: String, to: String) throws -> CallPolicy {
        guard let document = applied?.document else { throw Problem(title: "nothing runs", status: 409, hint: "mesh up") }
        var callees: [String: CallPolicy] = [:]
        if from == MeshDocument.gatewayName {
            for service in document.gateway?.routes.flatMap(\.services) ?? [] { callees[service] = document.defaults.policy }
        } else if let service = document.service(named: from) {
            for call in service.calls { callees[call.service] = call.policy }
        } else {
            let known = ([MeshDocument.gatewayName] + document.services.map(\.name)).joined(separator: ", ")
            throw Problem(title: "there is no '\(from)' in this mesh", status: 404, detail: "there are: \(known)", hint: "mesh edges")
        }
        guard let policy = callees[to] else {
            throw Problem(
                title: "\(from) does not call '\(to)'", status: 404,
                detail: callees.isEmpty ? "it calls nobody" : "it calls: \(callees.keys.sorted().joined(separator: ", "))",
                hint: "mesh edges")
        }
        return policy
    }

    // MARK: Metrics

    func metrics() -> String {
        let statistics = statistics()
        func own(_ name: String, _ kind: MetricFamily.Kind, _ help: String, _ value: Double) -> MetricFamily {
            MetricFamily(name, kind, help: help, samples: [MetricSample(value)])
        }
        return PrometheusText.render(
            traffic.families() + [
                own(
                    "mesh_instances_connected", .gauge, "Instances that are in touch with the daemon.",
                    Double(statistics.instancesConnected)),
                own("mesh_spans_received_total", .counter, "Spans that the daemon got.", Double(statistics.spansReceived)),
                own("mesh_spans_stored_total", .counter, "Spans that were stored.", Double(statistics.spansStored)),
                own(
                    "mesh_spans_dropped_total", .counter, "Spans that were lost, in instances or in the daemon.",
                    Double(statistics.spansDroppedByInstances + statistics.spansDroppedByStore)),
                own("mesh_trace_store_bytes", .gauge, "What stored traces take on disk.", Double(statistics.traceStoreBytes)),
            ])
    }
}
