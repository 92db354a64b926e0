import CMeshSystem
import Foundation
import MeshAdminAPI
import MeshConfiguration
import MeshLimits
import MeshModel

/// Finds out what `Doctor` judges; changes nothing, and starts no daemon.
struct DoctorSurvey {
    let file: String?
    let environment: [String: String]

    func facts() throws -> DoctorFacts {
        var facts = machine()
        // Without a file that was asked for, a machine can be looked at for itself.
        let location: MeshLocation
        do { location = try MeshLocation.find(file: file, environment: environment) } catch {
            if file != nil { throw error }
            return facts
        }
        facts.name = location.name
        facts.selector = location.selector
        lookAtFile(location, &facts)
        facts.state = folder(location.stateFolder.path)
        lookAtDaemon(location, &facts)
        return facts
    }

    // MARK: The machine

    private func machine() -> DoctorFacts {
        var system = utsname()
        uname(&system)
        let kernel = withUnsafeBytes(of: system.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        var files = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
        return DoctorFacts(
            kernel: kernel, hasProc: access("/proc/self/stat", R_OK) == 0, now: Date().timeIntervalSince1970,
            cores: ProcessInfo.processInfo.activeProcessorCount, memoryBytes: Int(clamping: ProcessInfo.processInfo.physicalMemory),
            openFiles: (UInt64(files.rlim_cur), UInt64(files.rlim_max)), keeping: keeping(), programs: programs())
    }

    private func programs() -> [DoctorFacts.Program] {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "mesh"
        let folder = (own as NSString).deletingLastPathComponent
        return ["meshd", "mesh-shim"].map { name in
            let path = folder + "/" + name
            let changed = (try? FileManager.default.attributesOfItem(atPath: path))?[.modificationDate] as? Date
            return .init(
                name: name, path: path, isExecutable: access(path, X_OK) == 0, changedAt: changed?.timeIntervalSince1970)
        }
    }

    /// For one that is started where this process was.
    private func keeping() -> LimitsStatus {
        LimitsStatus(
            Result { () throws(ControlGroupObstacle) in
                try ControlGroupDivision(of: ControlGroupSurvey.host(), name: "mesh", own: [])
            })
    }

    // MARK: The mesh

    private func lookAtFile(_ location: MeshLocation, _ facts: inout DoctorFacts) {
        // Where only MESH_STATE_DIR leads to the mesh, it is most likely the one of this folder.
        let file = location.file ?? MeshLocation.absolutePath(MeshLocation.file(named: nil))
        guard access(file, R_OK) == 0 else { return }
        let (document, findings) = MeshDocument.load(path: file, environment: SystemConfigurationEnvironment(variables: environment))
        facts.findings = (findings.count { $0.severity == .error }, findings.count { $0.severity == .warning })
        guard let document else { return }
        facts.traceStoreBytes = Int(document.traces.storedAtMost)
        facts.limits = document.services.filter { $0.limits != MeshDocument.Limits() }.map { service in
            .init(
                service: service.name, memoryBytes: service.limits.memoryBytes, cpus: service.limits.cpus,
                openFiles: service.limits.openFiles, replicas: service.replicas)
        }
        let runtime = RuntimeFolder.path(stateFolder: location.stateFolder.path, environment: environment)
        let names = document.services.flatMap { service in
            service.versions.map { [service.name, $0.name, "\($0.replicas)"].compactMap(\.self).joined(separator: "-") }
        }
        facts.longestSocket = names.map { "\(runtime)/\($0).shim" }.max { $0.utf8.count < $1.utf8.count }
        facts.ports = fixedAddresses(document)
    }

    private func fixedAddresses(_ document: MeshDocument) -> [DoctorFacts.Port] {
        var wanted: [(owner: String, address: SocketAddress)] = []
        if let gateway = document.gateway, gateway.command != nil { wanted += gateway.listen.map { ("gateway", $0.address) } }
        if let address = document.metricsListen { wanted.append(("metrics", address)) }
        if let address = document.traces.otlpListen { wanted.append(("traces", address)) }
        return wanted.compactMap { owner, address in
            guard case .tcp(_, let port) = address, port != 0 else { return nil }
            return .init(owner: owner, address: address.description, problem: problem(listeningOn: address))
        }
    }

    private func problem(listeningOn address: SocketAddress) -> String? {
        guard case .tcp(let host, let port) = address else { return nil }
        let socket = mesh_listen("tcp:\(host.contains(":") ? "[\(host)]" : host):\(port)", 1)
        guard socket < 0 else {
            close(socket)
            return nil
        }
        let code = errno
        // A name can't be tried here.
        return code == EINVAL ? nil : String(cString: strerror(code)).lowercased()
    }

    private func folder(_ path: String) -> DoctorFacts.Folder {
        var existing = URL(fileURLWithPath: path)
        while access(existing.path, F_OK) != 0, existing.path != "/" { existing.deleteLastPathComponent() }
        var folder = DoctorFacts.Folder(path: path, isWritable: access(existing.path, W_OK) == 0)
        var status = stat()
        if existing.path == path, stat(path, &status) == 0 {
            folder.permissions = status.st_mode & 0o777
            folder.isOurs = status.st_uid == getuid()
        }
        var space = statvfs()
        if statvfs(existing.path, &space) == 0 {
            folder.freeBytes = Int(clamping: UInt64(space.f_bavail) &* UInt64(space.f_frsize))
            // File systems without a fixed number of them say 0 of 0.
            folder.freeFiles = space.f_files > 0 ? Int(clamping: space.f_favail) : nil
        }
        return folder
    }

    private func lookAtDaemon(_ location: MeshLocation, _ facts: inout DoctorFacts) {
        let client = DaemonClient(location)
        facts.hasControlSocket = client.socketExists
        if let status = try? client.status() {
            facts.daemon = .init(
                pid: status.pid, version: status.version, protocolVersion: status.protocolVersion,
                startedAt: Double(status.startedAt.nanoseconds) / 1e9)
            if let keeping = status.limits { facts.keeping = keeping }
            facts.instances = (try? client.instances()) ?? []
            // What the mesh listens on itself is as it should be.
            let own = Set(
                (status.urls.map { URL(string: $0)?.port } + facts.instances.map { Self.port(of: $0.address) }).compactMap(\.self))
            for index in facts.ports.indices where Self.port(of: facts.ports[index].address).map(own.contains) ?? false {
                facts.ports[index].problem = nil
            }
            // The daemon's own are among what mesh.yaml names for metrics and traces.
            for index in facts.ports.indices where facts.ports[index].owner != "gateway" { facts.ports[index].problem = nil }
        }
        let runtime = RuntimeFolder.locate(location.stateFolder, environment: environment).path
        let names = (try? FileManager.default.contentsOfDirectory(atPath: runtime)) ?? []
        facts.staleSockets = names.sorted().map { runtime + "/" + $0 }.filter { path in
            // The daemon's own have a finding of their own.
            guard !["control.sock", "instances.sock", "spans.sock"].contains((path as NSString).lastPathComponent) else { return false }
            if path.hasSuffix(".shim") { return isDeserted(mesh_packet_connect(path)) }
            return path.hasSuffix(".sock") && isDeserted(mesh_connect("unix:" + path))
        }
    }

    /// - Parameter connection: what connecting gave, with errno.
    private func isDeserted(_ connection: Int32) -> Bool {
        guard connection < 0 else {
            close(connection)
            return false
        }
        return errno == ECONNREFUSED
    }

    private static func port(of address: String?) -> Int? {
        guard let address, !address.hasPrefix("unix:"), let colon = address.lastIndex(of: ":") else { return nil }
        return Int(address[address.index(after: colon)...])
    }
}
