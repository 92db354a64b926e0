import Glibc
import MeshModel
import MeshSupervision
import Testing

/// A log that has become too large is followed by another file: nothing that was said is lost or torn by that.
@Suite(.serialized) struct LogRotationTests {
    @Test(arguments: 0..<6) func everyLineIsInOneFileAndInItsOrder(seed: UInt64) async throws {
        var random = RandomSource(seed: seed)
        let slot = try TestSlot()
        let limit = Int64(4096 + random.next(below: 40_000))
        let client = try ShimClient.launch(
            executable: TestSlot.shim, folder: slot.folder, listeners: [], stopGrace: .seconds(2),
            logs: LogRetention(bytes: limit, olderFiles: 400))
        var events = EventReader(client)
        let width = 1 + Int(random.next(below: 300))
        _ = try slot.specification([
            "sh", "-c",
            "awk 'BEGIN { s = sprintf(\"%\(width)s\", \"\"); gsub(/ /, \"x\", s); for (i = 1; i <= 5000; i++) print i \" \" substr(s, 1, i * 7 % \(width)) }'",
        ])
        client.send(.start)
        _ = try await events.exited()
        var number = 0
        var texts: [String] = []
        while number == 0 || Files.exists(slot.folder.log(before: number)) {
            texts.append(String(decoding: Files.read(slot.folder.log(before: number)), as: UTF8.self))
            number += 1
        }
        #expect(texts.count > 2)
        for text in texts {
            #expect(text.hasSuffix("\n"))
            // It is looked at before a write, and a write has 32 KiB at most.
            #expect(text.utf8.count < Int(limit) + (32 << 10))
        }
        let lines = texts.reversed().joined().split(separator: "\n").map { $0.split(separator: " ", omittingEmptySubsequences: false) }
        #expect(lines.map { $0.count > 3 ? String($0[3]) : "torn" } == (1...5000).map(String.init))
    }

    @Test func theOldestFilesAreDropped() async throws {
        let slot = try TestSlot()
        let client = try ShimClient.launch(
            executable: TestSlot.shim, folder: slot.folder, listeners: [], stopGrace: .seconds(2),
            logs: LogRetention(bytes: 2000, olderFiles: 2))
        var events = EventReader(client)
        _ = try slot.specification(["sh", "-c", "i=0; while [ $i -lt 200 ]; do echo line $i; sleep 0.002; i=$((i+1)); done"])
        client.send(.start)
        _ = try await events.exited()
        #expect(Files.names(in: slot.folder.path).filter { $0.hasPrefix("log") } == ["log", "log.1", "log.2"])
        #expect(slot.log.contains("line 199\n"))
    }
}
