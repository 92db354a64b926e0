import Curl
import Foundation
import MeshModel
import Testing

/// Which traces stay, and that those are whole.
extension RealProcesses {
    @Suite struct TraceKeepingTests {
        private static func chain(keep: String) -> String {
            """
            mesh: chain
            gateway: { run: "${BIN}/edge-gateway", listen: "127.0.0.1:0", deadline: 50s, routes: { "/**": relay } }
            defaults: { timeout: 45s, breaker: off }
            services:
              relay: { tier: domain, run: "${BIN}/relay", replicas: 2, calls: { echo: {} } }
              echo:  { tier: enterprise, run: "${BIN}/echo", replicas: 2 }
            traces: { keep: \(keep) }
            """
        }

        private struct Answer: Sendable {
            var path: String
            var status: Int
            var trace: String
        }

        /// Sends the paths from sixteen connections.
        private static func send(_ paths: [String], to gateway: String) -> [Answer] {
            let state = Guarded((next: 0, answers: [Answer]()))
            let workers = DispatchGroup()
            for _ in 0..<16 {
                workers.enter()
                Thread.detachNewThread {
                    defer { workers.leave() }
                    while true {
                        let index = state.withLock { state -> Int in
                            defer { state.next += 1 }
                            return state.next
                        }
                        guard index < paths.count else { return }
                        guard let answer = try? TestMesh.client.send(CurlRequest("GET", gateway + paths[index])) else { continue }
                        state.withLock {
                            $0.answers.append(Answer(path: paths[index], status: answer.status, trace: answer.headers["mesh-trace"] ?? ""))
                        }
                    }
                }
            }
            workers.wait()
            return state.withLock { $0.answers }
        }

        /// MESH_TRACE_REQUESTS=10000 for the figure of the documentation.
        private static let requests = ProcessInfo.processInfo.environment["MESH_TRACE_REQUESTS"].flatMap { Int($0) } ?? 2_000

        @Test func keptTracesAreWholeAtOnePercent() throws {
            let mesh = try TestMesh(Self.chain(keep: "{ errors: all, retried: all, slower_than: 5s, rest: 1% }"))
            try mesh.up()
            let paths = (0..<Self.requests).map { index -> String in
                switch index % 100 {
                case 17, 51, 83: "/status/503"
                case 29 where index % 300 == 29: "/slow?s=5.2"
                default: "/"
                }
            }
            let answers = Self.send(paths, to: try mesh.gateway)
            #expect(answers.count == paths.count)
            var kept: [String: Bool] = [:]
            for answer in answers {
                let found = try mesh.daemon("/v1/traces/\(answer.trace)")
                guard found.status == 200 else {
                    kept[answer.trace] = false
                    continue
                }
                let trace = try mesh.object(found)
                kept[answer.trace] = true
                let spans = trace["spans"] as? [[String: Any]] ?? []
                let services = Set(spans.compactMap { $0["service"] as? String })
                #expect(services == Self.everyService && trace["complete"] as? Bool == true, "\(answer): \(services)")
            }
            let statistics = try mesh.statistics
            for answer in answers where answer.path != "/" {
                #expect(kept[answer.trace] == true, "\(answer) is not kept: \(statistics)")
            }
            let rest = answers.filter { $0.path == "/" }
            let sampled = rest.filter { kept[$0.trace] == true }.count
            // One percent, and six standard deviations around it.
            let expected = Double(rest.count) * 0.01
            #expect(Double(sampled) <= expected + 6 * expected.squareRoot() + 5, "\(sampled) of \(rest.count)")
            #expect(statistics["spans_dropped_by_instances"] as? Int == 0)
            #expect(statistics["spans_dropped_by_store"] as? Int == 0)
        }

        @Test func aProcessKilledMidRequestLeavesItsSpans() throws {
            // Nobody tries the request again, so that it ends with the process.
            let mesh = try TestMesh(
                Self.chain(keep: "{ errors: all, rest: 0% }").replacing("breaker: off", with: "breaker: off, retry: never")
                    .replacing("replicas: 2, calls", with: "calls"))
            try mesh.up()
            let gateway = try mesh.gateway
            let answer = Guarded<CurlResponse?>(nil)
            Thread.detachNewThread {
                let response = try? TestMesh.client.send(CurlRequest("GET", gateway + "/slow?s=40"))
                answer.withLock { $0 = response }
            }
            // In the gateway, in relay and in echo.
            #expect(try Wait.until(20) { try mesh.statistics["requests_open"] as? Int == 3 })
            let victim = try #require(try mesh.instances.first { $0["service"] as? String == "relay" }?["pid"] as? Int)
            kill(Int32(victim), SIGKILL)
            #expect(Wait.until(20) { answer.withLock { $0 != nil } })
            let trace = try #require(answer.withLock { $0?.headers["mesh-trace"] })
            let spans = try mesh.trace(trace, with: ["gateway", "relay"])
            let cut = try #require(spans.first { $0["service"] as? String == "relay" && $0["kind"] as? String == "server" })
            #expect((cut["attributes"] as? [String: Any])?["error.type"] as? String == "process_ended")
            #expect(cut["status"] as? String == "error")
        }

        private static let everyService: Set<String> = ["gateway", "relay", "echo"]

        /// The traces that are not stored whole, however long they are waited for.
        private static func incomplete(_ answers: [Answer], in mesh: TestMesh) throws -> [Answer] {
            try answers.filter { answer in
                let isWhole = try Wait.until(15) {
                    let found = try mesh.daemon("/v1/traces/\(answer.trace)")
                    guard found.status == 200 else { return false }
                    let trace = try mesh.object(found)
                    let spans = trace["spans"] as? [[String: Any]] ?? []
                    return trace["complete"] as? Bool == true && Set(spans.compactMap { $0["service"] as? String }) == everyService
                }
                return !isWhole
            }
        }

        @Test func aKilledProcessLeavesWhatItHadFinished() throws {
            let mesh = try TestMesh(Self.chain(keep: "all"))
            try mesh.up()
            let answers = Self.send(Array(repeating: "/", count: 100), to: try mesh.gateway)
            for instance in try mesh.instances where instance["service"] as? String != "gateway" {
                kill(Int32(try #require(instance["pid"] as? Int)), SIGKILL)
            }
            #expect(answers.count == 100)
            #expect(try Self.incomplete(answers, in: mesh).isEmpty)
        }

        @Test func aKilledDaemonLosesAtMostTheLastSecond() throws {
            let mesh = try TestMesh(Self.chain(keep: "all"))
            try mesh.up()
            let gateway = try mesh.gateway
            let before = Self.send(Array(repeating: "/", count: 100), to: gateway)
            let aSecondLater = ContinuousClock.now + .seconds(1)
            #expect(Wait.until(5) { ContinuousClock.now > aSecondLater })
            kill(try #require(mesh.daemonProcess), SIGKILL)
            #expect(Wait.until(5) { mesh.daemonProcess == nil })
            // Nobody reads these until the next daemon does.
            let between = Self.send(Array(repeating: "/", count: 100), to: gateway)
            try mesh.up()
            #expect(before.count + between.count == 200)
            #expect(try Self.incomplete(before + between, in: mesh).isEmpty)
        }

        @Test func aTraceThatIsAskedForIsKept() throws {
            let mesh = try TestMesh(Self.chain(keep: "{ errors: all, slower_than: 40s, rest: 0% }"))
            try mesh.up()
            let stranger = try mesh.send("GET", "/", headers: [CurlHeader("mesh-keep", "0123456789abcdef0123456789abcdef")])
            let unasked = try mesh.send("GET", "/")
            let call = try mesh.mesh("call", "GET", "/", "--json")
            let report = try #require(call.json as? [String: Any], "\(call.errors)")
            let trace = try #require(report["trace"] as? [String: Any], "the trace of mesh call is shown: \(call.output)")
            #expect(trace["complete"] as? Bool == true)
            for other in [stranger, unasked] {
                #expect(try mesh.daemon("/v1/traces/\(try #require(other.headers["mesh-trace"]))").status == 404)
            }
        }
    }
}
