import Curl
import Foundation
import MeshModel
import Testing

/// What happens to processes when they, their shims or the daemon die, and what is left of them.
extension RealProcesses {
    @Suite struct ProcessLifeTests {
        private static let chain = """
            mesh: chain
            gateway: { run: "${BIN}/edge-gateway", listen: "127.0.0.1:0", routes: { "/**": relay } }
            services:
              relay: { tier: domain, run: "${BIN}/relay", calls: { echo: {} } }
              echo:  { tier: enterprise, run: "${BIN}/echo", replicas: 2 }
            """

        @Test func upIsIdempotentAndDownLeavesNothing() throws {
            let mesh = try TestMesh(Self.chain)
            try mesh.up()
            #expect(try mesh.send("GET", "/").body.count == 128)
            let before = try mesh.instances.compactMap { $0["pid"] as? Int }
            try mesh.up()
            #expect(try mesh.instances.compactMap { $0["pid"] as? Int } == before)
            let runtime = try FileManager.default.destinationOfSymbolicLink(
                atPath: mesh.stateFolder.appending(path: "run").path(percentEncoded: false))
            let down = try mesh.mesh("down")
            #expect(down.status == 0, "\(down.errors)")
            #expect(mesh.processes.isEmpty)
            #expect(!FileManager.default.fileExists(atPath: runtime), "no socket is left")
            #expect(try mesh.mesh("down").status == 0, "there is nothing to do, and that is no error")
        }

        @Test func theShopIsReadyWithinThreeSeconds() throws {
            let shop = try TestMesh.shop()
            let run = try shop.mesh("up", "-d")
            #expect(run.status == 0, "\(run.errors)")
            #expect(try shop.instances.filter { $0["ready"] as? Bool == true }.count == 11)
            let log = run.output + run.errors
            let seconds = try #require(log.firstMatch(of: /11 processes ready in ([0-9.]+)s/)).1
            // Three seconds is the promise of a release build; these are debug builds beside other tests.
            #expect(try #require(Double(seconds)) < 15)
        }

        @Test func aKilledReplicaIsNotNoticedAndComesBack() throws {
            let shop = try TestMesh.shop()
            try shop.up()
            let load = SteadyLoad(CurlRequest("GET", try shop.gateway + "/catalog"), rate: 50, seconds: 6)
            let victim = try #require(try shop.instances.first { $0["instance"] as? String == "inventory-2" }?["pid"] as? Int)
            #expect(Wait.until(5) { (try? shop.mesh("traces", "list").output.isEmpty) == false })
            kill(Int32(victim), SIGKILL)
            let back = try Wait.until(5) {
                try shop.instances.contains {
                    $0["instance"] as? String == "inventory-2" && $0["ready"] as? Bool == true && $0["pid"] as? Int != victim
                }
            }
            #expect(back)
            let result = load.finish()
            #expect(result.failures.isEmpty, "\(result.failures.prefix(3))")
            #expect(result.answered == 300)
            let status = try #require(try shop.instances.first { $0["instance"] as? String == "inventory-2" })
            #expect(status["restarts"] as? Int == 1)
        }

        @Test func downLeavesNothingAfterAnyProcessWasKilled() throws {
            let mesh = try TestMesh(Self.chain)
            try mesh.up()
            // Every process of the mesh in turn is killed once: instances, shims, and last the daemon.
            let victims = mesh.processes
            #expect(victims.count >= 9)
            for victim in victims { kill(victim, SIGKILL) }
            let down = try mesh.mesh("down")
            #expect(down.status == 0, "\(down.errors)")
            #expect(mesh.processes.isEmpty, "\(down.errors) \(mesh.daemonLog)")
        }

        @Test func theDaemonsDeathIsNotNoticedAndANewOneAdopts() throws {
            let mesh = try TestMesh(Self.chain)
            try mesh.up()
            let before = try mesh.instances.compactMap { $0["pid"] as? Int }.sorted()
            let load = SteadyLoad(CurlRequest("GET", try mesh.gateway + "/"), rate: 50, seconds: 4)
            let daemon = try #require(mesh.daemonProcess)
            kill(daemon, SIGKILL)
            #expect(Wait.until(5) { mesh.daemonProcess == nil })
            let ps = try mesh.mesh("ps")
            #expect(ps.status == 1)
            #expect(ps.errors.contains("mesh up"), "the error names the next command: \(ps.errors)")
            try mesh.up()
            #expect(try mesh.instances.compactMap { $0["pid"] as? Int }.sorted() == before)
            let result = load.finish()
            #expect(result.failures.isEmpty, "\(result.failures.prefix(3))")
            try endOneWithoutADaemon(in: mesh)
            #expect(try mesh.mesh("down").status == 0)
            #expect(mesh.processes.isEmpty)
        }

        /// How it ended is told by the next `mesh up`, which starts it again.
        private func endOneWithoutADaemon(in mesh: TestMesh) throws {
            let victim = try #require(try mesh.instances.first { $0["instance"] as? String == "echo-2" }?["pid"] as? Int)
            kill(try #require(mesh.daemonProcess), SIGKILL)
            kill(Int32(victim), SIGKILL)
            #expect(Wait.until(5) { mesh.daemonProcess == nil })
            let up = try mesh.mesh("up", "-d")
            #expect(up.status == 0)
            #expect((up.output + up.errors).contains("ended while no daemon ran: echo-2 (ended by SIGKILL after "), "\(up.errors)")
            #expect(try mesh.instances.allSatisfy { $0["ready"] as? Bool == true })
        }

        @Test func anInstanceThatKeepsCrashingIsShownAsSuch() throws {
            // It starts well once, and never again.
            let mesh = try TestMesh(
                Self.chain.replacing(
                    "tier: enterprise, run: \"${BIN}/echo\", replicas: 2",
                    with: "tier: enterprise, run: [sh, -c, \"[ -e schema-v6 ] && exec ${BIN}/echo; echo bad schema v7 >&2; exit 1\"]"))
            let schema = mesh.folder.appending(path: "schema-v6")
            try Data().write(to: schema)
            try mesh.up()
            try FileManager.default.removeItem(at: schema)
            let victim = try #require(try mesh.instances.first { $0["service"] as? String == "echo" }?["pid"] as? Int)
            kill(Int32(victim), SIGKILL)
            let isCrashLoop = try Wait.until(10) { try mesh.instances.contains { $0["state"] as? String == "crash_loop" } }
            #expect(isCrashLoop)
            let table = try mesh.mesh("ps", "--width", "100").output
            #expect(table.contains(/\n +└ exit 1 after [0-9.]+m?s: "bad schema v7" +mesh logs echo/), "\(table)")
            #expect(table.contains(/echo +enterprise +0\/1 .*crash loop, next try [0-9.]+s/), "\(table)")
        }

        @Test func twoMeshesRunSideBySideAndAreFoundByTheirStateFolder() throws {
            let one = try TestMesh(Self.chain)
            let other = try TestMesh(Self.chain.replacing("mesh: chain", with: "mesh: other"))
            try one.up()
            try other.up()
            #expect(try one.send("GET", "/").status == 200)
            #expect(try other.send("GET", "/").status == 200)
            #expect(try one.mesh("down").status == 0)
            #expect(try other.send("GET", "/").status == 200)
        }

        @Test func aStateFolderTwoHundredBytesDeepWorks() throws {
            let deep = (0..<4).map { "folder-\($0)-" + String(repeating: "x", count: 40) }.joined(separator: "/")
            let mesh = try TestMesh(Self.chain, stateFolder: "with space/\(deep)")
            try mesh.up()
            #expect(try mesh.send("GET", "/").status == 200)
            #expect(try mesh.mesh("down").status == 0)
        }

        @Test func theForegroundEndsWithASignalAndAtOnceWithTheSecond() throws {
            let mesh = try TestMesh(Self.chain)
            let up = try mesh.start(["up"])
            #expect(Wait.until(30) { (up.output + up.errors).contains("ready in") }, "\(up.errors)")
            up.signal(SIGTERM)
            let run = up.end(within: 15)
            #expect(run.status == 0, "\(run.errors)")
            #expect(mesh.processes.isEmpty)

            // A request that is still under way holds the drain up; the second signal does not wait for it.
            let again = try mesh.start(["up"])
            #expect(Wait.until(30) { (again.output + again.errors).contains("ready in") }, "\(again.errors)")
            let reader = try SlowReader(mesh.gateway + "/bytes/\(64 << 20)")
            defer { reader.leave() }
            try #require(reader.hasBegun(within: 30), "\(reader.outcome)")
            again.signal(SIGINT)
            #expect(Wait.until(10) { again.errors.contains("stopping") }, "\(again.errors)")
            again.signal(SIGINT)
            let ended = again.end(within: 10)
            #expect(ended.status == 130, "\(ended.errors)")
            #expect(Wait.until(10) { mesh.processes.isEmpty })
        }

        @Test func aKilledForegroundLeavesTheMeshToTheNextCommand() throws {
            let mesh = try TestMesh(Self.chain)
            func start() throws -> [Int32] {
                let up = try mesh.start(["up"])
                #expect(Wait.until(30) { up.errors.contains("Ctrl-C stops everything") }, "\(up.errors)")
                let instances = try mesh.instances.compactMap { ($0["pid"] as? Int).map(Int32.init) }.sorted()
                up.signal(SIGKILL)
                #expect(up.end(within: 10).status == SIGKILL)
                return instances
            }
            let first = try start()
            #expect(first.count == 4)
            #expect(try mesh.send("GET", "/").status == 200, "it goes on without who started it")
            // Another one in the foreground takes over what runs; then one that only stops it.
            #expect(try start() == first)
            let down = try mesh.mesh("down")
            #expect(down.status == 0, "\(down.errors)")
            #expect(mesh.processes.isEmpty)
        }

        @Test func aPlainDownLeavesNoErrorBehind() throws {
            let shop = try TestMesh.shop()
            try shop.up()
            #expect(try shop.send("GET", "/catalog").status == 200)
            // Somebody follows the logs, and another keeps a connection to the daemon.
            let follower = try shop.start(["logs", "-f"])
            #expect(Wait.until(10) { follower.output.contains("ready") }, "\(follower.output)\(follower.errors)")
            let down = try shop.mesh("down")
            #expect(down.status == 0, "\(down.errors)")
            #expect(!shop.daemonLog.contains("error"), "\(shop.daemonLog)")
            #expect(follower.end(within: 10).status == 0, "\(follower.errors)")
            // Every instance ended by itself and well, in the middle of whatever it did.
            for exit in try shop.exits() { #expect(exit.contains(" how=code value=0 "), "\(exit)") }
            #expect(try shop.exits().count == 11)
        }
    }
}

/// Asks for a large answer and, once it has begun, reads no further: a request that stays under way for as long as the test wants.
final class SlowReader: Sendable {
    private let begun = DispatchSemaphore(value: 0)
    private let mayGoOn = DispatchSemaphore(value: 0)
    private let result = Guarded("no answer yet")

    init(_ url: String) {
        Thread.detachNewThread {
            let outcome = Result { () throws(CurlError) in
                try TestMesh.client.stream(CurlRequest("GET", url, timeout: nil)) { _ in
                    self.begun.signal()
                    self.mayGoOn.wait()
                    return .stop
                }
            }
            self.result.withLock { $0 = "\(outcome)" }
            self.begun.signal()
        }
    }

    /// Whether the answer began within `bound` seconds.
    func hasBegun(within bound: TimeInterval) -> Bool {
        begun.wait(timeout: .now() + bound) == .success && outcome == "no answer yet"
    }

    func leave() { mayGoOn.signal() }

    /// How it ended, for a message.
    var outcome: String { result.withLock { $0 } }
}

extension TestMesh {
    /// How incarnations ended, as their shims wrote it down.
    func exits() throws -> [String] {
        let instances = stateFolder.appending(path: "instances")
        return try FileManager.default.contentsOfDirectory(atPath: instances.path(percentEncoded: false)).flatMap { replica in
            try String(contentsOf: instances.appending(path: replica).appending(path: "record"), encoding: .utf8)
                .split(separator: "\n").filter { $0.hasPrefix("exit ") }.map { "\(replica): \($0)" }
        }
    }

    /// The daemon's process, found by its name.
    var daemonProcess: Int32? {
        processes.first { process in
            (try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8))?.hasPrefix("meshd") == true
        }
    }
}
