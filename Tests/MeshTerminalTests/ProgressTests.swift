import MeshAdminAPI
import Testing

@testable import MeshTerminal

@Suite struct ProgressTests {
    /// A Ctrl-C that was typed is echoed, and leaves the cursor in the third column.
    @Test func liveLinesAreWrittenOverFromTheirFirstColumn() {
        let terminal = TerminalTraits(width: 40, isLive: true)
        var lines = LiveLines()
        #expect(lines.replace(with: ProgressUpdate(settled: ["a"], live: ["· b", "· c"]), on: terminal, width: 40) == "a\n· b\n· c\n")
        #expect(lines.replace(with: ProgressUpdate(settled: ["stopping"]), on: terminal, width: 40) == "\r\u{1b}[2A\u{1b}[Jstopping\n")
        #expect(lines.replace(with: ProgressUpdate(settled: ["d"]), on: terminal, width: 40) == "d\n")

        var piped = LiveLines()
        #expect(piped.replace(with: ProgressUpdate(settled: ["a"], live: ["· b"]), on: TerminalTraits(), width: 40) == "a\n")
        #expect(piped.replace(with: ProgressUpdate(settled: ["c"]), on: TerminalTraits(), width: 40) == "c\n")
    }

    @Test func upAt80() {
        #expect(
            Example.up(Example.upEvents, width: 80) == """
                ✓ check     mesh.yaml, 0 findings
                ✓ control   127.0.0.1 · .mesh/control.sock
                ✓ enterprise  inventory 3/3 · ledger 1/1 · crm 1/1         0.6s
                ✓ domain      orders 2/2 · catalog 2/2 · customers 1/1     0.5s
                ✓ edge        gateway 1/1  http://127.0.0.1:8080           0.2s
                11 processes ready in 1.4s          mesh ps · mesh traces list · mesh down

                """)
        #expect(Example.up(Example.upEvents, width: 120) == Example.up(Example.upEvents, width: 80))
    }

    @Test func upAt40() {
        #expect(
            Example.up(Example.upEvents, width: 40) == """
                ✓ check     mesh.yaml, 0 findings
                ✓ control   127.0.0.1 · .mesh/control.sock
                ✓ enterprise  inventory 3/3
                              ledger 1/1 · crm 1/1  0.6s
                ✓ domain      orders 2/2
                              catalog 2/2
                              customers 1/1         0.5s
                ✓ edge        gateway 1/1
                              http://127.0.0.1:8080
                11 processes ready in 1.4s

                """)
    }

    @Test func aTierIsLiveUntilItIsDone() {
        var progress = UpProgress(width: 80)
        let begun = progress.apply(.tier(Example.tier("enterprise", [("inventory", 1, 3)], 0.1)))
        #expect(begun.settled.isEmpty)
        #expect(begun.live.map(\.plain) == ["· enterprise  inventory 1/3                                0.1s"])
        // A tier that is done waits for the one before it.
        let overtaken = progress.apply(.tier(Example.tier("domain", [("orders", 1, 1)], 0.1)))
        #expect(overtaken.settled.isEmpty)
        #expect(overtaken.live.count == 2)
        let done = progress.apply(.tier(Example.tier("enterprise", [("inventory", 3, 3)], 0.3)))
        #expect(done.settled.map(\.plain).map { $0.prefix(12) } == ["✓ enterprise", "✓ domain    "])
        #expect(done.live.isEmpty)
        let again = progress.apply(.tier(Example.tier("enterprise", [("inventory", 3, 3)], 0.4)))
        #expect(again.settled.isEmpty)
    }

    @Test func aFailureSaysWhereWhyAndWhatNext() {
        let text = Example.up(
            [
                .tier(Example.tier("domain", [("orders", 1, 2)], 10)),
                .failed(
                    UpFailure(
                        tier: "domain", service: "orders", instance: "orders-2", reason: "not ready within 30s: GET /healthz answers 503",
                        hint: "mesh logs orders", output: ["starting\u{7}", "no database"])),
            ], width: 80)
        #expect(
            text == """
                ✗ domain    orders 1/2                                    10.0s
                ✗ domain · orders · orders-2: not ready within 30s: GET /healthz answers 503
                  │ starting·
                  │ no database
                  next: mesh logs orders

                """)
    }

    @Test func nothingToChangeIsSaid() {
        #expect(
            Example.up([.finished(.init(processes: 11, seconds: 0.02, changed: false))], width: 80)
                == "11 processes ready; nothing to change   mesh ps · mesh traces list · mesh down\n")
        #expect(Example.up([.finished(.init(processes: 1, seconds: 0.2))], width: 50) == "1 process ready in 0.2s\n")
    }

    @Test func changesAndWarningsAreTold() {
        let text = Example.up(
            [
                .change(.init(service: "orders", action: .start)), .change(.init(service: "crm", action: .restart, reason: "run changed")),
                .warning(Notice(message: "no room for traces", hint: "df -h")),
            ], width: 80)
        #expect(text == "✓ restart   crm: run changed\n! no room for traces\n  next: df -h\n")
    }

    @Test func down() {
        var progress = DownProgress(width: 80)
        let events: [DownEvent] = [
            .tier(Example.tier("edge", [("gateway", 0, 1)], 0.1)), .tier(Example.tier("edge", [("gateway", 1, 1)], 0.2)),
            .tier(Example.tier("domain", [("orders", 2, 2)], 0.3)), .finished(.init(processes: 3, killed: 1, seconds: 0.5)),
        ]
        #expect(
            TerminalTraits().render(events.flatMap { progress.apply($0).settled }) == """
                ✓ edge      gateway 1/1                                    0.2s
                ✓ domain    orders 2/2                                     0.3s
                3 processes stopped in 0.5s, 1 killed since they outlived their drain

                """)
        var empty = DownProgress(width: nil)
        #expect(empty.apply(.finished(.init(processes: 0, seconds: 0))).settled.map(\.plain) == ["nothing was running"])
    }

    @Test func aForegroundUpTellsWhatChanges() {
        var watch = InstanceWatch()
        let before = Example.instance("inventory", "enterprise", 2)
        #expect(watch.look([before]).isEmpty)
        #expect(watch.look([before]).isEmpty)
        var crashed = before
        crashed.restarts = 1
        crashed.state = .starting
        crashed.ready = false
        crashed.lastExit = "killed by SIGKILL after 12s"
        #expect(watch.look([crashed]).map(\.plain) == ["✗ inventory-2 killed by SIGKILL after 12s; starting   mesh logs inventory"])
        var back = crashed
        back.state = .ready
        back.ready = true
        #expect(watch.look([back]).map(\.plain) == ["✓ inventory-2 ready"])
        // Ended and back between two looks.
        back.restarts = 2
        #expect(watch.look([back]).map(\.plain) == ["✗ inventory-2 killed by SIGKILL after 12s; running again   mesh logs inventory"])
        #expect(watch.look([back, Example.instance("crm", "enterprise", 1)]).map(\.plain) == ["+ crm-1 ready"])
        #expect(watch.look([back]).map(\.plain) == ["- crm-1 stopped"])
    }
}
