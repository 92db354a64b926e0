import Foundation
import GRDB
import MeshModel
import MeshStore
import TestSupport
import Testing

/// The store under a process that is killed.
@Suite("Trace store and SIGKILL", .blocking)
struct TraceStoreKillTests {
    private static let program: String = {
        let executable = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return (executable as NSString).deletingLastPathComponent + "/trace-benchmark"
    }()

    @Test func aKillLosesNothingThatWasStoredAndDamagesNothing() throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/traces"
        var random = RandomSource(seed: 3)
        var expected = 0
        for run in 1...6 {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Self.program)
            process.arguments = ["write", path, "\(run)"]
            let output = Pipe()
            process.standardOutput = output
            try process.run()
            // In the middle of a write, more often than not.
            let groups = 1 + random.next(below: 40)
            var text = ""
            while text.filter({ $0 == "\n" }).count < groups {
                let bytes = output.fileHandleForReading.availableData
                try #require(!bytes.isEmpty, "the writer ended by itself")
                text += String(decoding: bytes, as: UTF8.self)
            }
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            text += String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            let told = text.split(separator: "\n").compactMap { Int($0) }.last ?? 0
            expected += told

            let store = TraceStore(folder: path)
            let traces = store.list(limit: 1_000_000)
            #expect(traces.problems.isEmpty)
            #expect(traces.traces.count >= expected)
            #expect(traces.traces.allSatisfy { $0.isComplete })
            #expect(store.status.damaged == nil)
            store.close()
        }
        for file in try FileManager.default.contentsOfDirectory(atPath: path) where file.hasSuffix(".db") {
            let queue = try DatabaseQueue(path: path + "/" + file)
            let verdict = try queue.read { try String.fetchOne($0, sql: "PRAGMA integrity_check") }
            #expect(verdict == "ok")
        }
    }
}
