/// How one mesh divides the control group that its daemon was started in: one group for each instance, so that the kernel keeps
/// each to its limits and ends all of its processes at once.
///
/// ```
/// own group            no process: the kernel bounds groups only below a group that has none
///  └ mesh-<hash>
///     ├ control        the daemon and the shims, which count to no instance
///     └ orders-1.<id>  one incarnation
/// ```
///
/// Pure: `effects` are to be carried out in their order. In the kernel's own first group nothing has to be moved.
package struct ControlGroupDivision: Hashable, Sendable {
    /// The group that is divided.
    package let parent: String
    /// `mesh-<hash>` in it.
    package let folder: String
    package private(set) var controllers: ControlGroupControllers
    /// What could not be had of what was wanted, by controller.
    package private(set) var missing: [String: ControlGroupObstacle] = [:]
    /// What would bring a controller that is not there.
    package let fixForControllers: String?
    /// Where the daemon and the shims belong; nil where they may stay.
    private let control: String?
    /// Made by an earlier daemon, and the processes are where they belong.
    private let isThere: Bool
    private let own: [Int32]

    private static let controlName = "control"

    /// - Parameter name: of the mesh's group: no other mesh of this machine has the same.
    /// - Parameter own: the processes in the own group that may be moved, and that every shim will descend from.
    package init(of host: ControlGroupHost?, name: String, own: [Int32]) throws(ControlGroupObstacle) {
        guard let host else { throw .absent }
        if let existing = ControlGroupDivision(holding: host.path, mount: host.mount, name: name, controllers: host.controllers) {
            self = existing
            return
        }
        guard host.isWritable else { throw .readOnly(host.folder) }
        // Where nobody manages groups, whoever may write to one may divide it; but not root, who may write to any.
        let isOurs = host.isMarkedDelegated || host.path == "/" || !host.hasManager && !host.isPrivileged
        guard isOurs else { throw .notDelegated(host.folder, isPrivileged: host.isPrivileged, hasManager: host.hasManager) }
        guard host.isRoot || host.others.isEmpty else {
            throw .shared(host.folder, host.others, isPrivileged: host.isPrivileged, hasManager: host.hasManager)
        }
        parent = host.folder
        folder = host.folder + "/" + name
        controllers = host.controllers
        fixForControllers = host.hasManager && !host.isPrivileged ? Self.fixForUsers : nil
        control = host.isRoot ? nil : folder + "/" + Self.controlName
        isThere = false
        self.own = own
    }

    /// The division that a process already belongs to, since its group is the `control` of one.
    package init?(holding path: String, mount: String, name: String, controllers: ControlGroupControllers) {
        let end = "/\(name)/\(Self.controlName)"
        guard path.hasSuffix(end) else { return nil }
        let above = path.dropLast(end.utf8.count)
        parent = ControlGroupHost.folder(mount, above.isEmpty ? "/" : String(above))
        folder = parent + "/" + name
        self.controllers = controllers
        fixForControllers = nil
        control = folder + "/" + Self.controlName
        isThere = true
        own = []
    }

    /// A user's manager can delegate what it was given itself.
    private static let fixForUsers = "systemctl edit user@.service, with Delegate=memory cpu pids below [Service]; then log in again"

    /// Makes the division; all of them must succeed, apart from those that enable a controller, without which the others serve.
    package var effects: [ControlGroupEffect] {
        guard !isThere else { return [] }
        var effects: [ControlGroupEffect] = [.make(folder)]
        if let control { effects += [.make(control)] + own.map { .move(process: $0, into: control) } }
        for group in [parent, folder] { effects += controllers.names.map { .enable($0, below: group) } }
        return effects
    }

    /// Undoes it, once no instance is left.
    package var undoing: [ControlGroupEffect] {
        guard let control else { return [.remove(folder)] }
        return [folder, parent].flatMap { group in controllers.names.map { .disable($0, below: group) } }
            + [.moveAll(from: control, into: parent), .remove(control), .remove(folder)]
    }

    // MARK: Instances

    /// The group of one incarnation.
    package func group(replica: String, instance: String) -> String { "\(folder)/\(replica).\(instance)" }

    /// Makes a group that keeps what enters it to these limits, as far as its controllers reach.
    ///
    /// Over its memory all of it is killed, as one: a service that lost one of its processes is a broken one. It gets no swap, in
    /// which it would be slow for long instead. The limit of CPU is a share of periods of 100 ms.
    package func effects(making group: String, for limits: ProcessLimits) -> [ControlGroupEffect] {
        var effects: [ControlGroupEffect] = [.make(group)]
        if controllers.contains(.memory), let bytes = limits.memoryBytes {
            effects += [
                .set(group + "/memory.max", to: "\(bytes)"), .setWhereItIs(group + "/memory.swap.max", to: "0"),
                .setWhereItIs(group + "/memory.oom.group", to: "1"),
            ]
        }
        if controllers.contains(.cpu), let cores = limits.cores {
            let quota = max(Self.smallestQuota, Int((cores * Double(Self.period)).rounded()))
            effects.append(.set(group + "/cpu.max", to: "\(quota) \(Self.period)"))
        }
        return effects
    }

    /// In microseconds, as are all of `cpu.max`.
    private static let period = 100_000
    /// The kernel takes none that is lower.
    private static let smallestQuota = 1000

    // MARK: Carrying out

    /// Makes it real, and says what came of it: controllers that the kernel refuses are left out.
    package func established() throws(ControlGroupObstacle) -> ControlGroupDivision {
        var result = self
        for effect in effects {
            if case .enable(let controller, _) = effect {
                guard result.missing[controller] == nil else { continue }
                do throws(ControlGroupObstacle) { try effect.carryOut() } catch {
                    result.missing[controller] = error
                    result.controllers.subtract(ControlGroupControllers(words: controller))
                }
            } else {
                try effect.carryOut()
            }
        }
        return result
    }

    /// Makes a group for an incarnation, or nothing.
    package func makeGroup(_ group: String, for limits: ProcessLimits) throws(ControlGroupObstacle) {
        do throws(ControlGroupObstacle) {
            for effect in effects(making: group, for: limits) { try effect.carryOut() }
        } catch {
            try? ControlGroupEffect.remove(group).carryOut()
            throw error
        }
    }

    /// Removes the groups of instances that nothing lives in: their shims were lost.
    package func removeDeserted() {
        for name in ControlGroupFiles.groups(in: folder) where name != Self.controlName { removeTree(folder + "/" + name) }
    }

    /// A group's own groups first; one that something lives in stays.
    package func removeTree(_ group: String) {
        for name in ControlGroupFiles.groups(in: group) { removeTree(group + "/" + name) }
        try? ControlGroupEffect.remove(group).carryOut()
    }

    /// Leaves the tree as it was before; what can't be undone does no harm.
    package func dissolve() {
        removeDeserted()
        for effect in undoing { try? effect.carryOut() }
    }
}
