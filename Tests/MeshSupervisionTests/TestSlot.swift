import CMeshSystem
import Glibc
import MeshLimits
import MeshModel
import MeshSupervision
import Testing

/// A replica slot in temporary folders of its own, and what the tests do with it.
final class TestSlot: Sendable {
    static let programs: String = {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes {
            readlink("/proc/self/exe", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
        }
        let path = String(decoding: buffer[..<count], as: UTF8.self)
        return String(path[..<path.lastIndex(of: "/")!])
    }()
    static var shim: String { programs + "/mesh-shim" }
    static var service: String { programs + "/test-service" }

    let root: String
    let folder: InstanceFolder

    init(stateFolder: String = "state", replica: String = "echo-1") throws {
        var random = RandomSource.fromSystem()
        root = "/tmp/mesh-test-\(InstanceID.random(&random))"
        folder = InstanceFolder(stateFolder: "\(root)/\(stateFolder)", runtimeFolder: "\(root)/run", replica: replica)
        try folder.make()
    }

    deinit {
        let record = ShimRecord.read(folder)
        if let shim = record.shim { ProcessHandle(processID: shim.processID, startTime: shim.startTime)?.signal(SIGKILL) }
        for process in TestSlot.processes(within: root) { kill(process, SIGKILL) }
        _ = TestSlot.removeTree(root)
    }

    func specification(
        _ arguments: [String], environment: [String: String] = [:], onExit: IncarnationSpecification.ListenersOnExit = .hold,
        instance: InstanceID? = nil, limits: ProcessLimits = ProcessLimits(), group: IncarnationSpecification.Group? = nil
    ) throws -> InstanceID {
        var random = RandomSource.fromSystem()
        let instance = instance ?? InstanceID.random(&random)
        var environment = environment
        environment["PATH"] = "/usr/bin:/bin"
        environment["MESH_TEST_ROOT"] = root
        try Files.replace(
            folder.specification,
            with: IncarnationSpecification(
                instance: instance, arguments: arguments, workingFolder: root, environment: environment, listenersOnExit: onExit,
                limits: limits, group: group
            ).encoded)
        return instance
    }

    func launch(listeners: [(name: String, address: SocketAddress, socket: ListeningSocket?)] = []) throws -> ShimClient {
        try ShimClient.launch(executable: TestSlot.shim, folder: folder, listeners: listeners, stopGrace: .seconds(2))
    }

    /// A Unix listener of this slot, given to the shim.
    func launchListening() throws -> ShimClient {
        let socket = try ListeningSocket.bind(.unix(path: folder.serviceSocket))
        return try launch(listeners: [("http", socket.address, socket)])
    }

    var log: String { String(decoding: Files.read(folder.log), as: UTF8.self) }

    /// The processes whose environment names this slot's root: none may be left at the end.
    static func processes(within root: String) -> [Int32] {
        Files.names(in: "/proc").compactMap { Int32($0) }.filter { process in
            let file = open("/proc/\(process)/environ", O_RDONLY)
            guard file >= 0 else { return false }
            defer { close(file) }
            var buffer = [UInt8](repeating: 0, count: 65536)
            let count = read(file, &buffer, buffer.count)
            return count > 0 && String(decoding: buffer[..<count], as: UTF8.self).contains("MESH_TEST_ROOT=\(root)")
        }
    }

    var processes: [Int32] { TestSlot.processes(within: root) }

    /// Those of them that a shim started: shims have the environment of their services too.
    var services: [Int32] {
        processes.filter { String(decoding: readAll("/proc/\($0)/comm"), as: UTF8.self) != "mesh-shim\n" }
    }

    static func removeTree(_ path: String) -> Bool {
        for name in Files.names(in: path) where unlink("\(path)/\(name)") != 0 { _ = removeTree("\(path)/\(name)") }
        return rmdir(path) == 0
    }
}

/// Waits until a fact holds; a bound, not a sleep, decides that it doesn't.
func eventually(
    within bound: Timespan = .seconds(60), _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation, _ fact: () async -> Bool
) async {
    let end = SystemClock.now() + bound
    while SystemClock.now() < end {
        if await fact() { return }
        try? await Task.sleep(nanoseconds: 2_000_000)
    }
    Issue.record(what, sourceLocation: sourceLocation)
}

/// Reads a shim's events one after the other.
struct EventReader {
    private var iterator: AsyncStream<ShimEvent>.Iterator
    init(_ client: ShimClient) { iterator = client.events.makeAsyncIterator() }

    mutating func next() async -> ShimEvent? { await iterator.next() }

    mutating func state() async throws -> ShimState {
        while let event = await iterator.next() { if case .state(let state) = event { return state } }
        throw Missing(what: "state")
    }
    mutating func started() async throws -> (processID: Int32, startTime: Int64) {
        while let event = await iterator.next() {
            if case .started(_, let process, let time, _, _, _) = event { return (process, time) }
            if case .startFailed = event { throw Missing(what: "started, but got \(event)") }
        }
        throw Missing(what: "started")
    }
    mutating func exited() async throws -> ExitReport {
        while let event = await iterator.next() { if case .exited(let report) = event { return report } }
        throw Missing(what: "exited")
    }
    mutating func first(_ matches: (ShimEvent) -> Bool) async throws -> ShimEvent {
        while let event = await iterator.next() { if matches(event) { return event } }
        throw Missing(what: "event")
    }
    struct Missing: Error { var what: String }
}

/// Asks over HTTP/1.1 and reads to the end. Nil if the connection was refused or reset.
func ask(_ address: SocketAddress, path: String = "/") async -> String? {
    guard let connection = beginAsking(address, path: path) else { return nil }
    return await finishAsking(connection)
}

func beginAsking(_ address: SocketAddress, path: String = "/") -> Int32? {
    let connection = mesh_connect(ListeningSocket.text(address))
    guard connection >= 0 else { return nil }
    let request = "GET \(path) HTTP/1.1\r\nhost: test\r\n\r\n"
    guard send(connection, request, request.utf8.count, Int32(MSG_NOSIGNAL)) > 0 else {
        close(connection)
        return nil
    }
    return connection
}

func finishAsking(_ connection: Int32) async -> String? {
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    defer {
        Reactor.shared.forget(connection)
        close(connection)
    }
    while await Reactor.shared.wait(connection, for: .readable, until: SystemClock.now() + .seconds(Int64(20))) == .ready {
        let count = recv(connection, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        if count < 0 { return nil }
        if count == 0 { return answer.isEmpty ? nil : String(decoding: answer, as: UTF8.self) }
        answer += buffer[..<count]
    }
    return nil
}
