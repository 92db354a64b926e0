import Foundation
import MeshModel

/// One run of a program: what it printed and how it ended.
struct CommandRun: Sendable {
    var status: Int32
    var output: String
    var errors: String

    var json: Any? { try? JSONSerialization.jsonObject(with: Data(output.utf8), options: .fragmentsAllowed) }
    var objects: [[String: Any]] { json as? [[String: Any]] ?? [] }
}

/// A program that runs beside the test, with its output collected as it comes.
final class RunningCommand: Sendable {
    private struct Collected {
        var output = Data()
        var errors = Data()
    }

    private let process: Process
    private let collected = Guarded(Collected())
    /// On threads of their own: the shared ones are as many as there are cores, and a program that stays would hold two of them.
    private let readers = DispatchGroup()

    init(_ program: String, _ arguments: [String], environment: [String: String], folder: URL) throws {
        process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.environment = environment
        process.currentDirectoryURL = folder
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        try process.run()
        collect(from: output) { $0.output.append($1) }
        collect(from: errors) { $0.errors.append($1) }
    }

    private func collect(from pipe: Pipe, into store: @escaping @Sendable (inout Collected, Data) -> Void) {
        let handle = pipe.fileHandleForReading
        let descriptor = handle.fileDescriptor
        readers.enter()
        Thread.detachNewThread { [self] in
            withExtendedLifetime(pipe) {
                var chunk = [UInt8](repeating: 0, count: 65536)
                while true {
                    let count = read(descriptor, &chunk, chunk.count)
                    if count <= 0 { break }
                    collected.withLock { store(&$0, Data(chunk[0..<count])) }
                }
            }
            readers.leave()
        }
    }

    var processID: Int32 { process.processIdentifier }
    var output: String { collected.withLock { String(decoding: $0.output, as: UTF8.self) } }
    var errors: String { collected.withLock { String(decoding: $0.errors, as: UTF8.self) } }
    var isRunning: Bool { process.isRunning }

    func signal(_ number: Int32) { _ = kill(process.processIdentifier, number) }

    /// Waits for the end; one that does not come within `bound` is forced, and its status is -1.
    func end(within bound: TimeInterval) -> CommandRun {
        let ended = Wait.until(bound) { !self.process.isRunning }
        if !ended {
            process.terminate()
            kill(process.processIdentifier, SIGKILL)
        }
        process.waitUntilExit()
        // A process in the background that has inherited the pipes would hold them open: that is an error of the command.
        let isComplete = readers.wait(timeout: .now() + 30) == .success
        return CommandRun(
            status: ended && isComplete ? process.terminationStatus : -1, output: output,
            errors: errors + (isComplete ? "" : "\n(somebody still holds its output open)"))
    }
}

/// Waiting for a fact, with a bound.
enum Wait {
    /// Asks for the fact again and again; false when it did not come true within `bound` seconds.
    static func until(_ bound: TimeInterval, _ fact: () throws -> Bool) rethrows -> Bool {
        let end = ContinuousClock.now + .seconds(bound)
        while true {
            if try fact() { return true }
            if ContinuousClock.now > end { return false }
            pause()
        }
    }

    private static func pause() {
        var nothing = pollfd()
        _ = poll(&nothing, 0, 10)
    }
}
