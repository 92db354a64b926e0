internal import Glibc
internal import MeshLimits
internal import MeshModel

/// How a slot comes to its shim, and what the shim says.
extension Supervisor {
    /// What was met when a slot was opened.
    enum Met {
        case nothing
        case shim(ShimState)
        case failure(String)
    }

    /// Takes a slot in: with the shim that runs, or with a new one if only its service runs, or without.
    func open(_ slot: Slot, wanted: Bool) async throws(StartError) {
        slots[slot.spec.replica] = slot
        slot.isBusy = true
        let met = await meet(slot)
        slot.isBusy = false
        defer { tellWatchers() }
        let now = SystemClock.now()
        switch met {
        case .nothing:
            let exit = ShimRecord.read(slot.folder).exits.last
            if let exit { slot.instance = exit.instance }
        case .failure(let reason):
            slots[slot.spec.replica] = nil
            throw .invalid("\(slot.spec.replica): \(reason)")
        case .shim(let state) where state.childProcessID != 0:
            take(state, into: slot)
            apply(slot.machine.foundAlive(now, wanted: wanted), to: slot)
        case .shim(let state):
            slot.instance = state.instance
        }
    }

    /// Connects to the shim, or launches one if there is none but there must be, since a service of this slot lives.
    private func meet(_ slot: Slot) async -> Met {
        if let client = try? ShimClient.connect(slot.folder), let state = await follow(client, slot) { return .shim(state) }
        let record = ShimRecord.read(slot.folder)
        let mayLive = record.unfinished?.boot == ProcessHandle.boot
        await endUnreachableShim(record, mayLive: mayLive)
        return mayLive ? await launch(slot) : .nothing
    }

    /// A shim that lives and can't be spoken to keeps the lock of its slot: it goes, its service stays.
    private func endUnreachableShim(_ record: ShimRecord, mayLive: Bool) async {
        guard let shim = record.shim, shim.boot == ProcessHandle.boot,
            let process = ProcessHandle(processID: shim.processID, startTime: shim.startTime)
        else { return }
        process.signal(mayLive ? SIGKILL : SIGTERM)
        if await process.ended(by: SystemClock.now() + configuration.answerTimeout) == nil { process.signal(SIGKILL) }
    }

    /// A new shim, with the sockets that were bound for it.
    private func launch(_ slot: Slot) async -> Met {
        do {
            let client = try ShimClient.launch(
                executable: configuration.shimExecutable, folder: slot.folder, listeners: slot.listeners,
                environment: slot.spec.environment, stopGrace: slot.spec.stopGrace, logs: configuration.logs)
            slot.sockets = []
            FaultPoint.shimLaunched.passed()
            guard let state = await follow(client, slot) else { return .failure(slot.machine.reason ?? "its shim ended at once") }
            return .shim(state)
        } catch {
            return .failure("\(error)")
        }
    }

    /// Waits for the first message, then brings all that come to the machine; nil if there is no state to be had.
    private func follow(_ client: ShimClient, _ slot: Slot) async -> ShimState? {
        let alarm = Task {
            try await SystemClock.sleep(until: SystemClock.now() + configuration.answerTimeout)
            client.disconnect()
        }
        var first: ShimEvent?
        for await event in client.events {
            first = event
            break
        }
        alarm.cancel()
        guard case .state(let state)? = first else {
            if case .failed(let stage, let code)? = first {
                slot.machine.reason = "its shim could not begin (\(stage)): \(SystemError.reason(code))"
            }
            client.disconnect()
            await client.end(by: SystemClock.now() + configuration.answerTimeout)
            return nil
        }
        slot.client = client
        slot.shimVersion = state.version
        slot.following?.cancel()
        slot.following = Task {
            for await event in client.events { await self.received(event, from: client, slot) }
        }
        return state
    }

    private func received(_ event: ShimEvent, from client: ShimClient, _ slot: Slot) async {
        guard isCurrent(slot), slot.client === client else { return }
        let now = SystemClock.now()
        switch event {
        case .started(let instance, let process, let startTime, let at, let logOffset, let group):
            slot.instance = instance
            slot.processID = process
            slot.processStartTime = startTime
            slot.startedAt = at
            slot.logOffset = logOffset
            slot.group = group
            apply(slot.machine.spawned(now), to: slot)
        case .startFailed(_, let stage, let code):
            apply(slot.machine.startFailed(Self.reason(stage, code, slot.spec), now), to: slot)
        case .exited(let report) where report.instance == slot.instance:
            apply(slot.machine.exited(report, now), to: slot)
        case .lost:
            slot.client = nil
            // A shim that only dropped us may live on: it is met again.
            await client.reap(by: now + .milliseconds(200))
            if isCurrent(slot), slot.client == nil, !slot.isBusy { apply(slot.machine.shimLost(SystemClock.now()), to: slot) }
        case .exited, .state, .swept, .logDropped, .refused, .failed, .left: break
        }
    }

    private static func reason(_ stage: StartStage, _ code: Int32, _ spec: ReplicaSpec) -> String {
        let why = SystemError.reason(code)
        let program = spec.arguments.first ?? ""
        switch stage {
        case .exec where code == ENOENT: return "cannot run \(program): no such file, or its folder or interpreter is missing"
        case .exec: return "cannot run \(program): \(why)"
        case .listen: return "cannot listen again on \(spec.listen.map { "\($0.address)" }.joined(separator: ", ")): \(why)"
        case .specification: return "cannot read its specification: \(why)"
        case .fork: return "cannot make a process: \(why)"
        case .busy: return "an older incarnation still lives"
        }
    }

    // MARK: Start

    func bind(_ slot: Slot) async throws(StartError) {
        guard slot.sockets.isEmpty else { return }
        let shared = await listenersOfPeer(of: slot)
        guard isCurrent(slot), slot.sockets.isEmpty else { return }
        let wanted = slot.spec.listen.enumerated().map { index, listen in
            // A port that the kernel chose once stays.
            if case .tcp(_, 0) = listen.address, index < slot.addresses.count { return slot.addresses[index] }
            return listen.address
        }
        do {
            slot.sockets = try wanted.enumerated().map { index, address throws(ListenError) in
                if let socket = shared[slot.spec.listen[index]] { return socket }
                return try ListeningSocket.bind(address)
            }
            slot.addresses = slot.sockets.map(\.address)
        } catch {
            throw .listen(error)
        }
    }

    /// What another replica of its service listens on, by what was asked for, where the two are to share it.
    private func listenersOfPeer(of slot: Slot) async -> [ReplicaSpec.Listen: ListeningSocket] {
        guard slot.spec.sharesListeners == true else { return [:] }
        var found: [ReplicaSpec.Listen: ListeningSocket] = [:]
        for peer in slots.values.sorted(by: { $0.spec.replica < $1.spec.replica })
        where peer !== slot && peer.spec.service == slot.spec.service {
            let listen = (peer.running ?? peer.spec).listen
            guard let client = peer.client, !Set(listen).isDisjoint(with: slot.spec.listen) else { continue }
            let sockets = await client.sharedListeners(by: SystemClock.now() + configuration.answerTimeout)
            guard sockets.count == listen.count else { continue }
            for (listen, socket) in zip(listen, sockets) where found[listen] == nil { found[listen] = socket }
        }
        return found
    }

    func startIncarnation(of slot: Slot) async {
        guard isCurrent(slot), case .launching = slot.machine.phase else { return }
        let isTooOld = slot.shimVersion < ShimState.keepsLimits && (slot.spec.privateVariables != nil || slot.spec.limits != nil)
        if isTooOld || slot.running.map({ $0.listen != slot.spec.listen }) ?? false { await retireShim(of: slot) }
        var failure: String?
        var variables: [String: String] = [:]
        if let wanted = slot.spec.privateVariables {
            do { variables = try configuration.readVariables(wanted) } catch { failure = "\(error)" }
        }
        slot.running = slot.spec
        slot.machine.adoptPolicies(probes: slot.spec.probes, restart: slot.spec.restart, stopGrace: slot.spec.stopGrace)
        if failure == nil, slot.client == nil {
            do {
                try await bind(slot)
                if case .failure(let reason) = await launch(slot) { failure = reason }
            } catch {
                failure = "\(error)"
            }
        }
        guard isCurrent(slot), case .launching = slot.machine.phase else { return }
        if failure == nil {
            let instance = mintInstance()
            slot.instance = instance
            let limits = slot.spec.limits ?? ProcessLimits()
            let (group, note) = makeGroup(for: instance, of: slot, limits)
            let specification = IncarnationSpecification(
                instance: instance, arguments: slot.spec.program.map { [$0] + slot.spec.arguments.dropFirst() } ?? slot.spec.arguments,
                workingFolder: slot.spec.workingFolder,
                environment: slot.spec.environment.filter { variables[$0.key] == nil }, listenersOnExit: slot.spec.listenersOnExit,
                limits: limits, group: group, note: note)
            do { try Files.replace(slot.folder.specification, with: specification.encoded) } catch { failure = "\(error)" }
        }
        if let failure {
            apply(slot.machine.startFailed(failure, SystemClock.now()), to: slot)
        } else {
            save(slot)
            FaultPoint.specificationWritten.passed()
            do { try slot.client?.start(with: variables) } catch {
                apply(slot.machine.startFailed("\(error)", SystemClock.now()), to: slot)
            }
            FaultPoint.startSent.passed()
        }
    }

    /// A control group of its own for an incarnation; where there can be none though others have one, why.
    private func makeGroup(
        for instance: InstanceID, of slot: Slot, _ limits: ProcessLimits
    ) -> (group: IncarnationSpecification.Group?, note: String?) {
        guard slot.shimVersion >= ShimState.entersGroups, let division = division(of: slot) else { return (nil, nil) }
        let path = division.group(replica: slot.spec.replica, instance: "\(instance)")
        do {
            try division.makeGroup(path, for: limits)
            return (.init(path: path, controllers: division.controllers), nil)
        } catch {
            return (nil, "runs without a control group: \(error)")
        }
    }

    /// That which its shim is in: a process moves between groups only within what was delegated.
    private func division(of slot: Slot) -> ControlGroupDivision? {
        guard let shim = slot.client?.processID, !ControlGroupSurvey.areInOneGroup(shim, getpid()) else {
            return configuration.groups.division
        }
        return ControlGroupSurvey.division(holding: shim, name: configuration.groups.name)
    }

    /// A shim listens where it began to: other addresses need another shim. Nothing lives in it now.
    private func retireShim(of slot: Slot) async {
        guard let client = slot.client else { return }
        slot.client = nil
        slot.addresses = []
        client.send(.exit)
        await client.end(by: SystemClock.now() + configuration.answerTimeout)
    }

    // MARK: Recovery

    func recover(_ slot: Slot, replacing: Bool) async {
        guard isCurrent(slot), case .recovering = slot.machine.phase else { return }
        if replacing, let client = slot.client {
            slot.client = nil
            client.disconnect()
            await client.end(by: SystemClock.now())
        }
        var met = Met.nothing
        if !replacing, let client = try? ShimClient.connect(slot.folder), let state = await follow(client, slot) { met = .shim(state) }
        if case .nothing = met { met = await launch(slot) }
        guard isCurrent(slot) else { return }
        let now = SystemClock.now()
        switch met {
        case .shim(let state) where state.childProcessID != 0:
            take(state, into: slot)
            apply(slot.machine.foundAlive(now), to: slot)
        case .shim:
            let exit = ShimRecord.read(slot.folder).exits.last { $0.instance == slot.instance }
            apply(slot.machine.foundDead(exit, now), to: slot)
        case .failure(let reason): apply(slot.machine.shimNotRecovered(reason, now), to: slot)
        case .nothing: break
        }
    }

    private func take(_ state: ShimState, into slot: Slot) {
        slot.instance = state.instance
        slot.processID = state.childProcessID
        slot.processStartTime = state.childStartTime
        slot.startedAt = state.startedAt
        slot.logOffset = 0
        slot.group = state.group
    }
}
