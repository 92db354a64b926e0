internal import CMeshSystem
internal import Glibc
package import MeshModel

/// A connection to the shim of one replica slot.
///
/// Invariant: `events` begins with `state` (or `failed`) and ends with `lost`; what happened before it was connected is in the record.
package final class ShimClient: Sendable {
    package let folder: InstanceFolder
    package let events: AsyncStream<ShimEvent>
    private let process: ProcessHandle?
    private let continuation: AsyncStream<ShimEvent>.Continuation
    /// -1 once closed.
    private let connection: Guarded<Int32>
    /// Who waits for copies of the listeners.
    private let sharing = Guarded<CheckedContinuation<[ListeningSocket], Never>?>(nil)

    private init(folder: InstanceFolder, connection: Int32, process: ProcessHandle?) {
        self.folder = folder
        self.process = process
        self.connection = Guarded(connection)
        (events, continuation) = AsyncStream.makeStream()
        Task { await self.receive(on: connection) }
    }

    /// Connects to a shim that runs.
    package static func connect(_ folder: InstanceFolder) throws(SystemError) -> ShimClient {
        let connection = mesh_packet_connect(folder.shimSocket)
        guard connection >= 0 else { throw SystemError("connecting to the shim of \(folder.replica)") }
        var process: pid_t = 0
        var user: uid_t = 0
        let known = mesh_peer(connection, &process, &user) == 0
        return ShimClient(folder: folder, connection: connection, process: known ? ProcessHandle(child: process) : nil)
    }

    /// Starts a shim, which takes over what it finds alive by its record; a second one for a slot ends at once (`failed`, stage `lock`).
    ///
    /// The listeners may be closed here once this returns. Listeners without a socket are opened by the shim when they are needed.
    ///
    /// The shim reads nothing of `environment`; by it, an operator finds all processes of a mesh.
    package static func launch(
        executable: String, folder: InstanceFolder, listeners: [(name: String, address: SocketAddress, socket: ListeningSocket?)],
        environment: [String: String] = [:], stopGrace: Timespan, logs: LogRetention = LogRetention()
    ) throws(SystemError) -> ShimClient {
        var pair: [Int32] = [-1, -1]
        guard mesh_packet_pair(&pair) == 0 else { throw SystemError("making a socket") }
        defer { close(pair[1]) }
        let inherited = listeners.prefix { $0.socket != nil }.compactMap { $0.socket?.descriptor }
        var arguments = [
            "mesh-shim", "--folder", folder.path, "--socket", folder.shimSocket, "--replica", folder.replica, "--grace",
            "\(stopGrace.milliseconds)", "--log-limit", "\(logs.bytes)", "--log-kept", "\(logs.olderFiles)", "--inherited",
            "\(inherited.count)", "--control", "\(3 + inherited.count)",
        ]
        for listener in listeners { arguments += ["--listen", listener.name, ListeningSocket.text(listener.address)] }
        do {
            let child = try ChildProcess.spawn(
                executable, arguments: arguments, environment: environment, folder: nil, descriptors: inherited + [pair[1]],
                newSession: true)
            return ShimClient(folder: folder, connection: pair[0], process: ProcessHandle(child: child))
        } catch {
            close(pair[0])
            throw error
        }
    }

    package func send(_ command: ShimCommand) {
        connection.withLock { connection in
            guard connection >= 0 else { return }
            let text = command.text
            _ = text.utf8.withContiguousStorageIfAvailable {
                Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
            }
        }
    }

    /// Runs what the `spec` file says, with these variables besides, which go through no file.
    package func start(with variables: [String: String]) throws(SystemError) {
        guard !variables.isEmpty else { return send(.start) }
        let memory = try Self.memory(of: variables)
        defer { close(memory) }
        let sent = connection.withLock { connection in
            let text = ShimCommand.start.text
            return withUnsafePointer(to: memory) { mesh_descriptors_send(connection, text, text.utf8.count, $0, 1) }
        }
        guard sent == 0 else { throw SystemError("handing variables to the shim of \(folder.replica)") }
    }

    /// Entries `env=NAME=value`, each ended by a NUL, in memory that only its holders can read.
    private static func memory(of variables: [String: String]) throws(SystemError) -> Int32 {
        var bytes: [UInt8] = []
        for (name, value) in variables {
            bytes += "env=\(name)=\(value)".utf8.lazy.filter { $0 != 0 }
            bytes.append(0)
        }
        let memory = mesh_memory_create("variables", bytes.count)
        guard memory >= 0 else { throw SystemError("making memory for variables") }
        guard pwrite(memory, bytes, bytes.count, 0) == bytes.count else {
            let error = SystemError("writing variables to memory")
            close(memory)
            throw error
        }
        return memory
    }

    /// Copies of the sockets that the shim listens on, for another shim beside it; none if it does not answer by then.
    package func sharedListeners(by deadline: Instant) async -> [ListeningSocket] {
        let alarm = Task {
            try await SystemClock.sleep(until: deadline)
            self.shared([])
        }
        defer { alarm.cancel() }
        return await withCheckedContinuation { continuation in
            let earlier = sharing.withLock { waiting in
                defer { waiting = continuation }
                return waiting
            }
            earlier?.resume(returning: [])
            send(.shareListeners)
        }
    }

    private func shared(_ listeners: [ListeningSocket]) {
        let waiting = sharing.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }
        waiting?.resume(returning: listeners)
    }

    /// Leaves the shim to itself; `lost` follows.
    package func disconnect() {
        connection.withLock { connection in
            if connection >= 0 { shutdown(connection, Int32(SHUT_RDWR)) }
        }
    }

    /// Waits for the shim's own end, and ends it by force at the deadline; its service would live on.
    package func end(by deadline: Instant) async {
        guard let process else { return }
        if await process.ended(by: deadline) == nil {
            process.signal(SIGKILL)
            _ = await process.ended(by: SystemClock.now() + .seconds(1))
        }
    }

    /// Waits for the shim's own end, if it ends by then.
    package func reap(by deadline: Instant) async { _ = await process?.ended(by: deadline) }

    package var processID: Int32? { process?.processID }

    private func receive(on descriptor: Int32) async {
        var buffer = [UInt8](repeating: 0, count: 8192)
        var descriptors = [Int32](repeating: -1, count: 8)
        reading: while await Reactor.shared.wait(descriptor, for: .readable) == .ready {
            while true {
                var received = 0
                let count = mesh_descriptors_receive(descriptor, &buffer, buffer.count, &descriptors, &received)
                if count > 0, buffer.starts(with: "listeners ".utf8) {
                    shared(descriptors.prefix(received).compactMap(ListeningSocket.init(taking:)))
                } else if count > 0 {
                    if let event = ShimEvent(String(decoding: buffer[..<count], as: UTF8.self)) { continuation.yield(event) }
                } else if count < 0 && errno == EINTR {
                    continue
                } else if count < 0 && errno == EAGAIN {
                    break
                } else {
                    break reading
                }
            }
        }
        Reactor.shared.forget(descriptor)
        shared([])
        connection.withLock { connection in
            close(connection)
            connection = -1
        }
        continuation.yield(.lost)
        continuation.finish()
    }
}
