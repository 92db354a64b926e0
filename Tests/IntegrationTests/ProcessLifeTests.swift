import Curl
import Foundation
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
            let runtime = try FileManager.default.destinationOfSymbolicLink(atPath: mesh.stateFolder.appending(path: "run").path())
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
            #expect(try mesh.mesh("down").status == 0)
            #expect(mesh.processes.isEmpty)
        }

        @Test func anInstanceThatKeepsCrashingIsShownAsSuch() throws {
            let mesh = try TestMesh(Self.chain)
            try mesh.up()
            let yaml = Self.chain.replacing(
                "tier: enterprise, run: \"${BIN}/echo\", replicas: 2",
                with: "tier: enterprise, run: [sh, -c, \"echo bad schema v7 >&2; exit 1\"]")
            try mesh.write(yaml)
            let up = try mesh.mesh("up", "-d")
            #expect(up.status == 1)
            #expect((up.errors + up.output).contains("bad schema v7"), "\(up.errors)")
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
            try mesh.write(
                Self.chain.replacing("mesh: chain", with: "mesh: chain\ndefaults: { timeout: 30s }")
                    .replacing("routes:", with: "deadline: 30s, routes:").replacing("echo: {}", with: "echo: { timeout: 30s }"))
            let again = try mesh.start(["up"])
            #expect(Wait.until(30) { (again.output + again.errors).contains("ready in") }, "\(again.errors)")
            let slow = CurlRequest("GET", try mesh.gateway + "/slow?s=20")
            Thread.detachNewThread { _ = try? TestMesh.client.send(slow) }
            // That it reached the service is seen by its connection.
            #expect(try Wait.until(15) { try mesh.connections(to: "echo") > 0 })
            again.signal(SIGINT)
            #expect(Wait.until(5) { again.errors.contains("stopping") })
            again.signal(SIGINT)
            let ended = again.end(within: 5)
            #expect(ended.status == 130, "\(ended.errors)")
            #expect(Wait.until(5) { mesh.processes.isEmpty })
        }
    }
}

extension TestMesh {
    /// How many connections the instances of a service have taken, as the kernel counts them by the path of their sockets.
    func connections(to service: String) throws -> Int {
        let paths = try instances.filter { $0["service"] as? String == service }.compactMap { $0["address"] as? String }
            .map { String($0.dropFirst(5)) }
        let table = try String(contentsOfFile: "/proc/net/unix", encoding: .utf8)
        // State 03: connected. The listening socket itself is in state 01.
        return table.split(separator: "\n").count { line in
            let fields = line.split(separator: " ")
            return fields.count == 8 && fields[5] == "03" && paths.contains(String(fields[7]))
        }
    }

    /// The daemon's process, found by its name.
    var daemonProcess: Int32? {
        processes.first { process in
            (try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8))?.hasPrefix("meshd") == true
        }
    }
}
