import CMeshSystem
import Glibc
import MeshLimits
import MeshModel
import MeshSupervision
import Testing

/// What a shim keeps its service to, and what it hands to it alone.
@Suite(.serialized) struct ShimLimitTests {
    @Test func whatTakesTooMuchMemoryIsKilledAndNamedSo() async throws {
        let slot = try TestSlot()
        let client = try slot.launch()
        var events = EventReader(client)
        _ = try slot.specification([TestSlot.service, "hog", "48"], limits: ProcessLimits(memoryBytes: 24 << 20))
        client.send(.start)
        _ = try await events.started()
        let report = try await events.exited()
        #expect(report.cause == .signal(SIGKILL))
        guard case .limit(let used, let allowed) = report.memory else { throw EventReader.Missing(what: "why it was killed") }
        #expect(allowed == 24 << 20 && used > allowed)
        #expect(report.description.hasPrefix("killed out of memory: it used "))
        #expect(!report.wasExpected && !report.isClean)
        #expect(slot.log.contains("shim killed out of memory: it used "))
        #expect(ShimRecord.read(slot.folder).exits == [report])
    }

    @Test func theMemoryOfWhatItStartsCounts() async throws {
        let slot = try TestSlot()
        let client = try slot.launch()
        var events = EventReader(client)
        _ = try slot.specification(
            ["sh", "-c", "'\(TestSlot.service)' hog 20 & '\(TestSlot.service)' hog 20 & wait"], limits: ProcessLimits(memoryBytes: 32 << 20)
        )
        client.send(.start)
        _ = try await events.started()
        #expect(try await events.exited().memory != nil)
        await eventually("nothing of it is left") { slot.services == [] }
    }

    @Test func whatStaysBelowItsLimitLives() async throws {
        let slot = try TestSlot()
        let client = try slot.launch()
        var events = EventReader(client)
        _ = try slot.specification([TestSlot.service, "hog", "16"], limits: ProcessLimits(memoryBytes: 18 << 20))
        client.send(.start)
        _ = try await events.started()
        // Near its limit it is looked at twenty times a second.
        await eventually("it has what it wanted") { slot.log.contains("out took 1") }
        client.send(.stop(grace: .seconds(5)))
        let report = try await events.exited()
        #expect(report.wasExpected && report.memory == nil)
    }

    @Test func openFilesAndCoresAreLimitsOfTheProcess() async throws {
        let slot = try TestSlot()
        let client = try slot.launch()
        var events = EventReader(client)
        _ = try slot.specification(
            ["sh", "-c", "ulimit -n; ulimit -Hn; grep Cpus_allowed: /proc/self/status"], limits: ProcessLimits(cores: 0.5, openFiles: 77))
        client.send(.start)
        _ = try await events.exited()
        let lines = slot.log.split(separator: "\n").compactMap { $0.split(separator: " ", maxSplits: 3).last }
        #expect(lines.prefix(2) == ["77", "77"])
        let mask = try #require(lines.last?.split(whereSeparator: \.isWhitespace).last)
        #expect(mask.compactMap(\.hexDigitValue).reduce(0) { $0 + $1.nonzeroBitCount } == 1)
    }

    @Test func privateVariablesReachTheServiceAndNothingElse() async throws {
        let slot = try TestSlot()
        let client = try slot.launch()
        var events = EventReader(client)
        let state = try await events.state()
        _ = try slot.specification(["sh", "-c", "echo \"$TOKEN / $OTHER\"; sleep 1000"], environment: ["OTHER": "plain"])
        try client.start(with: ["TOKEN": "hunter2 and more"])
        let service = try await events.started().processID
        await eventually("it has said what it got") { slot.log.contains("out hunter2 and more / plain") }
        func has(_ path: String) -> Bool { String(decoding: readAll(path), as: UTF8.self).contains("hunter2") }
        #expect(has("/proc/\(service)/environ"))
        for path in ["/proc/\(state.processID)/environ", "/proc/\(service)/cmdline", slot.folder.specification, slot.folder.record] {
            #expect(!has(path), "\(path)")
        }
        client.send(.stop(grace: .seconds(5)))
        _ = try await events.exited()

        // Whoever asks without them gets none of the start before.
        _ = try slot.specification(["sh", "-c", "echo \"then: $TOKEN.\""])
        client.send(.start)
        _ = try await events.exited()
        #expect(slot.log.contains("out then: .\n"))
    }
}
