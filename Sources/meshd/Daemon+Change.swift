import Foundation
import Logging
import MeshAdminAPI
import MeshConfiguration
import MeshModel
import MeshSupervision
import MeshTelemetry

/// Changes beyond `mesh up`: restarts, other numbers of replicas, one service anew, and the way back.
extension Daemon {
    /// Carries out one change, after those that were asked for before it, and tells how it goes.
    func change(_ request: ChangeRequest) -> AsyncStream<UpEvent> {
        perform { daemon, tell in
            let (next, labels) = try daemon.target(of: request)
            return try await daemon.bring(to: next, only: labels, tell: tell)
        }
    }

    /// What `mesh up` would change; nothing is changed.
    func plan(_ request: UpRequest) async throws -> DeploymentPlanAnswer {
        let next: Applied
        do {
            next = try read(request.file, profile: request.profile, environment: request.environment, keeping: applied).next
        } catch {
            throw Problem(title: error.reason, status: 422, hint: error.hint)
        }
        return DeploymentPlanAnswer(changes: DeploymentPlan(from: await supervisor.snapshot(), applied?.document, to: next).changes)
    }

    /// After a success: what `rollback` may come back to.
    func remember(_ applied: Applied) {
        let builds = Dictionary(
            applied.deployment.groups.compactMap { group in group.build.map { (group.label, $0) } }, uniquingKeysWith: { first, _ in first }
        )
        do {
            try history.add(
                .init(source: applied.source, adjustments: applied.adjustments, builds: builds), at: Timestamp(HostClock.wall()))
        } catch {
            logger.error("what was applied can't be kept for mesh rollback: \(error.localizedDescription)")
        }
        for group in applied.deployment.groups { self.builds.keep(group.build, at: group.executable) }
        self.builds.prune(keeping: history.builds)
        self.builds.save()
    }

    /// What a record asked for, with the builds that it names: no program is read for it.
    func restored(_ record: DeploymentHistory.Record) throws(UpFailure) -> Applied {
        let source = record.content.source
        let environment = RecordedEnvironment(files: source.files, system: SystemConfigurationEnvironment(variables: source.environment))
        let (document, _) = try document(source.file, profile: source.profile, in: environment)
        var adjustments = record.content.adjustments
        adjustments.builds = record.content.builds
        return applied(document, source, adjustments)
    }

    private func target(of request: ChangeRequest) throws(UpFailure) -> (next: Applied, labels: Set<String>?) {
        guard let applied else { throw UpFailure(reason: "nothing was applied yet", hint: "mesh up") }
        if case .rollback = request.action, request.services.isEmpty { return (try previous(for: nil), nil) }
        var labels: Set<String> = []
        for name in request.services {
            let found = applied.deployment.groups(named: name)
            guard !found.isEmpty else {
                let known = applied.deployment.groups.map(\.label).sorted().joined(separator: ", ")
                throw UpFailure(reason: "there is no service '\(name)' to \(request.action.rawValue): there are \(known)", hint: "mesh ps")
            }
            labels.formUnion(found.map(\.label))
        }
        if let version = request.version { labels = labels.filter { $0.hasSuffix("/\(version)") } }
        guard !labels.isEmpty else {
            throw UpFailure(
                reason: "\(request.services.joined(separator: ", ")) has no version '\(request.version ?? "")'", hint: "mesh ps")
        }
        return (try target(of: request, labels, applied), labels)
    }

    private func target(of request: ChangeRequest, _ labels: Set<String>, _ applied: Applied) throws(UpFailure) -> Applied {
        switch request.action {
        case .restart:
            var adjustments = applied.adjustments
            for label in labels { adjustments.generations[label] = UInt64(max(0, HostClock.wall().nanoseconds)) }
            return self.applied(applied.document, applied.source, adjustments)
        case .scale:
            guard let replicas = request.replicas, (1...1000).contains(replicas) else {
                throw UpFailure(reason: "a service has from 1 to 1000 replicas", hint: "mesh scale SERVICE=3")
            }
            guard !labels.contains(MeshDocument.gatewayName) else {
                throw UpFailure(reason: "the gateway has one replica: it uses all cores", hint: "gateway.threads in mesh.yaml")
            }
            var adjustments = applied.adjustments
            for label in labels { adjustments.replicas[label] = replicas }
            return self.applied(applied.document, applied.source, adjustments)
        case .deploy:
            let fresh = try read(
                applied.source.file, profile: applied.source.profile, environment: applied.source.environment, keeping: applied
            ).next
            var adjustments = applied.adjustments
            for label in labels { adjustments.builds[label] = nil }
            return self.applied(merge(labels, of: fresh.document, into: applied.document), applied.source, adjustments)
        case .rollback: return try previous(for: labels)
        }
    }

    /// What was wanted before, of all services or of some.
    private func previous(for labels: Set<String>?) throws(UpFailure) -> Applied {
        guard let record = history.previous, let applied else {
            throw UpFailure(reason: "there is nothing to go back to: mesh.yaml was applied once only", hint: "mesh ps")
        }
        let before = try restored(record)
        var next = before
        if let labels {
            var adjustments = applied.adjustments
            for label in labels {
                adjustments.builds[label] = record.content.builds[label]
                adjustments.replicas[label] = before.adjustments.replicas[label]
                adjustments.generations[label] = before.adjustments.generations[label]
            }
            next = self.applied(merge(labels, of: before.document, into: applied.document), applied.source, adjustments)
        }
        for group in next.deployment.groups where labels?.contains(group.label) ?? true {
            guard let build = group.build,
                !builds.isThere(build, at: group.executable, search: applied.source.environment["PATH"])
            else { continue }
            throw UpFailure(
                tier: group.tier, service: group.label,
                reason: "its build \(build.prefix(4)) is gone: \(group.executable) was written over, and no copy could be kept",
                hint: "build it again, then: mesh deploy \(group.label)")
        }
        return next
    }

    /// Some services as another document has them.
    private func merge(_ labels: Set<String>, of other: MeshDocument, into document: MeshDocument) -> MeshDocument {
        var merged = document
        for index in merged.services.indices {
            let name = merged.services[index].name
            guard labels.contains(where: { $0 == name || $0.hasPrefix(name + "/") }), let service = other.service(named: name) else {
                continue
            }
            merged.services[index] = service
        }
        if labels.contains(MeshDocument.gatewayName) { merged.gateway = other.gateway }
        return merged
    }
}
