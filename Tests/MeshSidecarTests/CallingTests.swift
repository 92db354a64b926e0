import Foundation
import Synchronization
import Testing

@testable import MeshSidecar

extension ServiceName {
    static let upstream: Self = "upstream"
}

@Suite struct CallingTests {
    static let trace = "0af7651916cd43dd8448eb211c80319c"
    static let traceparent = "00-\(trace)-b7ad6b7169203331-01"

    /// A service that calls another one: `setup` is the front's, `upstream` answers behind it.
    private func pair(
        upstream: @escaping @Sendable (MeshRequest) async throws -> MeshResponse,
        front: @escaping @Sendable (MeshRequest, Mesh) async throws -> MeshResponse,
        _ body: @Sendable (RunningService) async throws -> Void
    ) async throws {
        try await RunningService.with("upstream") {
            $0.serve(upstream)
        } _: { behind in
            try await RunningService.with("front", calls: [.upstream: behind.path]) { sidecar in
                let mesh = sidecar.mesh
                sidecar.serve { try await front($0, mesh) }
            } _: {
                try await body($0)
            }
        }
    }

    @Test func `a call sends and gets JSON, with the idempotency key`() async throws {
        struct Sum: Codable { var a: Int, b: Int }
        try await pair { request in
            let sum = try await request.json(as: Sum.self)
            return try .json([
                "sum": "\(sum.a + sum.b)", "key": request.headerFields[.init("Idempotency-Key")!] ?? "", "caller": "\(request.caller)",
                "target": request.target,
            ])
        } front: { _, mesh in
            let answer = try await mesh.call(.upstream, .post, "/sum/\("a/b?c")", json: Sum(a: 1, b: 2), idempotencyKey: "k1")
            return try .json(await answer.json(as: [String: String].self))
        } _: { front in
            let json = try await front.get("/").json() as? [String: String]
            #expect(json == ["sum": "3", "key": "k1", "caller": "front (unauthenticated)", "target": "/sum/a%2Fb%3Fc"])
        }
    }

    @Test func `deadline and trace go on without being passed on`() async throws {
        try await pair { request in
            try .json(["remaining": "\(request.remaining.map { $0 / .milliseconds(1) } ?? -1)", "trace": request.traceID])
        } front: { _, mesh in
            async let first = mesh.call(.upstream, .get, "/1").json(as: [String: String].self)
            async let second = mesh.call(.upstream, .get, "/2", timeout: .seconds(20)).json(as: [String: String].self)
            return try .json([try await first, try await second])
        } _: { front in
            let fields = ["traceparent": Self.traceparent, "mesh-timeout-ms": "40000"]
            let answer = try await front.get("/", fields: fields)
            let answers = try JSONDecoder().decode([[String: String]].self, from: Data(answer.body.utf8))
            #expect(answers.map { $0["trace"] } == [Self.trace, Self.trace])
            let remaining = answers.compactMap { $0["remaining"].flatMap(Double.init) }
            #expect(remaining.count == 2 && remaining[0] > 20_000 && remaining[0] <= 40_000, "\(remaining)")
            #expect(remaining.count == 2 && remaining[1] > 0 && remaining[1] <= 20_000, "\(remaining)")
        }
    }

    @Test func `a timeout never lengthens what is left`() async throws {
        try await pair { request in
            .text("\(request.remaining.map { $0 / .milliseconds(1) } ?? -1)")
        } front: { _, mesh in
            MeshResponse(try await mesh.call(.upstream, .get, "/", timeout: .seconds(60)))
        } _: { front in
            let answer = try await front.get("/", fields: ["mesh-timeout-ms": "20000"])
            #expect(try #require(Double(answer.body)) <= 20_000)
        }
    }

    @Test func `a service that is not in calls is refused with what to add`() async throws {
        try await pair { _ in
            .text("never")
        } front: { _, mesh in
            do {
                return MeshResponse(try await mesh.call("stranger", .get, "/"))
            } catch let error as ServiceNotAllowed {
                return .text("\(error)", status: .forbidden)
            }
        } _: { front in
            let answer = try await front.get("/")
            #expect(answer.status == 403)
            #expect(answer.body.contains("add `calls: { stranger: {} }` to services.front in mesh.yaml"))
        }
    }

    @Test func `a call that takes too long fails with the deadline's flag, and the handler's answer is 504`() async throws {
        let release = Gate<Void>()
        try await pair { _ in
            try await release.value()
            return .text("late")
        } front: { request, mesh in
            do {
                return MeshResponse(try await mesh.call(.upstream, .get, "/", timeout: .milliseconds(50)))
            } catch let error as CallError where request.path == "/caught" {
                return .text("\(error.service) \(error.flag) \(error.status.code) \(error.attempts) \(error.remaining != nil)")
            }
        } _: { front in
            let answer1 = try await front.get("/caught", fields: ["mesh-timeout-ms": "50000"])
            #expect(answer1.body == "upstream DX 504 1 true")
            let answer = try await front.get("/")
            #expect(answer.status == 504)
            #expect(answer.fields["content-type"] == "application/problem+json")
            #expect(!answer.body.contains("unix:"))
            release.open(())
        }
    }

    @Test func `a 5xx answer says mesh-retry no when a call below failed so, and only then`() async throws {
        let field = HTTPField.Name("mesh-retry")!
        try await pair { request in
            MeshResponse(
                status: .serviceUnavailable, headerFields: request.path == "/final" ? [field: "no"] : [:])
        } front: { request, mesh in
            let answer = try await mesh.call(.upstream, .post, RequestTarget(request.target))
            return .text("composed", status: request.query("ok") != nil ? .ok : .init(code: answer.status.code == 503 ? 500 : 200))
        } _: { front in
            let final = try await front.get("/final")
            #expect(final.status == 500)
            #expect(final.fields["mesh-retry"] == "no")
            let answer2 = try await front.get("/other")
            #expect(answer2.fields["mesh-retry"] == nil)
            let answer3 = try await front.get("/final?ok=1")
            #expect(answer3.fields["mesh-retry"] == nil)
        }
    }

    @Test func `what another service said is told by its problem`() async throws {
        try await pair { _ in
            throw Problem(.notFound, type: "https://shop.example/problems/no-such-sku", detail: "no tea")
        } front: { request, mesh in
            do {
                return .text(try await mesh.call(.upstream, .get, "/tea").json(as: String.self))
            } catch let error as UnexpectedStatus where request.path == "/pass" {
                throw error.problem ?? Problem(.badGateway)
            }
        } _: { front in
            let passed = try await front.get("/pass")
            #expect(passed.status == 404)
            #expect(passed.json()?["type"] as? String == "https://shop.example/problems/no-such-sku")
            let answer4 = try await front.get("/other")
            #expect(answer4.status == 502)
        }
    }

    @Test func `a client that leaves cancels the handler and every call below`() async throws {
        let arrived = Gate<Void>()
        let frontCancelled = Gate<Void>()
        let upstreamCancelled = Gate<Void>()
        let never = Gate<Void>()
        try await pair { _ in
            arrived.open(())
            do {
                try await never.value()
            } catch {
                upstreamCancelled.open(())
            }
            return .text("nobody hears it")
        } front: { _, mesh in
            do {
                return MeshResponse(try await mesh.call(.upstream, .get, "/", timeout: .seconds(60)))
            } catch is CancellationError {
                frontCancelled.open(())
                throw CancellationError()
            }
        } _: { front in
            let client = try await RawClient.onThread { try RawClient(path: front.path) }
            try client.send("GET / HTTP/1.1\r\nHost: test\r\nmesh-timeout-ms: 60000\r\n\r\n")
            try await arrived.value()
            client.leave()
            try await frontCancelled.value()
            try await upstreamCancelled.value()
        }
    }

    @Test func `cancelling a task cancels its call`() async throws {
        let arrived = Gate<Void>()
        let upstreamCancelled = Gate<Void>()
        let never = Gate<Void>()
        try await pair { _ in
            arrived.open(())
            do { try await never.value() } catch { upstreamCancelled.open(()) }
            return .text("")
        } front: { _, mesh in
            let call = Task { _ = try await mesh.call(.upstream, .get, "/", timeout: .seconds(60)) }
            try await arrived.value()
            call.cancel()
            try await upstreamCancelled.value()
            do {
                try await call.value
                return .text("answered")
            } catch is CancellationError {
                return .text("cancelled")
            }
        } _: { front in
            let answer5 = try await front.get("/")
            #expect(answer5.body == "cancelled")
        }
    }

    @Test func `detached work goes on when its caller is gone, with a deadline and a trace of its own`() async throws {
        let detached = Gate<[String: String]>()
        let isDetached = Gate<Void>()
        let callerLeft = Gate<Void>()
        try await pair { request in
            try .json(["trace": request.traceID, "remaining": "\(request.remaining.map { $0 / .milliseconds(1) } ?? -1)"])
        } front: { _, mesh in
            try await mesh.detached(deadline: .seconds(60)) {
                isDetached.open(())
                try await callerLeft.value()
                detached.open(try await mesh.call(.upstream, .get, "/", timeout: .seconds(50)).json(as: [String: String].self))
            }
            return .text("done")
        } _: { front in
            let client = try await RawClient.onThread { try RawClient(path: front.path) }
            try client.send("GET / HTTP/1.1\r\nHost: test\r\nmesh-timeout-ms: 20000\r\ntraceparent: \(Self.traceparent)\r\n\r\n")
            try await isDetached.value()
            client.leave()
            callerLeft.open(())
            let answer = try await detached.value()
            #expect(answer["trace"] != Self.trace)
            // The call's own timeout is what rules now, not the 20 s of the request.
            #expect(try #require(answer["remaining"].flatMap(Double.init)) > 20_000)
        }
    }

    @Test func `a service that shuts down waits for detached work`() async throws {
        let mayEnd = Gate<Void>()
        let hasEnded = Gate<Void>()
        try await RunningService.with { sidecar in
            let mesh = sidecar.mesh
            sidecar.serve { _ in
                Task {
                    try await mesh.detached(deadline: .seconds(30)) {
                        try await mayEnd.value()
                        hasEnded.open(())
                    }
                }
                return .text("accepted", status: .accepted)
            }
        } _: { service in
            let answer6 = try await service.get("/")
            #expect(answer6.status == 202)
            while service.sidecar.mesh.detachedWork.running == 0 { await Task.yield() }
            Task {
                while service.sidecar.isReady.load(ordering: .relaxed) { await Task.yield() }
                mayEnd.open(())
            }
        }
        #expect(hasEnded.isDone)
    }

    @Test func `a request is passed on whole, and the answer back`() async throws {
        try await pair { request in
            let body = try await request.body.collect(upTo: 1 << 20)
            return .text(
                "\(request.method) \(request.target) \(body.count)", status: .accepted,
                headerFields: [.init("x-seen")!: request.headerFields[.init("x-sent")!] ?? ""])
        } front: { request, mesh in
            mesh.forward(request, to: .upstream)
        } _: { front in
            let body = String(repeating: "x", count: 300_000)
            let answer = try await front.get("/a?b=c", method: "PUT", fields: ["x-sent": "1"], body: body)
            #expect(answer.status == 202)
            #expect(answer.body == "PUT /a?b=c 300000")
            #expect(answer.fields["x-seen"] == "1")
        }
    }

    @Test func `everything is passed on to the one callee, but the probe`() async throws {
        try await RunningService.with("upstream") {
            $0.serve { request in .text("upstream \(request.target)") }
        } _: { behind in
            for explicit in [true, false] {
                try await RunningService.with("front", calls: [.upstream: behind.path]) {
                    if explicit { $0.forward(everythingTo: .upstream) } else { $0.forwardEverything() }
                } _: { front in
                    let answer7 = try await front.get("/x?y")
                    #expect(answer7.body == "upstream /x?y")
                    let answer8 = try await front.get("/healthz")
                    #expect(answer8.body == "ok\n")
                }
            }
        }
    }

    @Test func `what passes everything on needs exactly one callee`() async throws {
        await #expect(throws: SidecarStartError.notOneCallee("front", calls: [])) {
            try await RunningService.with("front") {
                $0.forwardEverything()
            } _: { _ in
            }
        }
    }

    @Test func `a service that answers nothing does not start`() async throws {
        await #expect(throws: SidecarStartError.nothingToServe("mute")) {
            try await RunningService.with("mute") { _ in
            } _: { _ in
            }
        }
    }

    @Test func `requests in flight are finished before a service ends`() async throws {
        let arrived = Gate<Void>()
        let mayAnswer = Gate<Void>()
        let folder = try RunningService.Folder()
        let sidecar = try Sidecar(.standalone("slow", listen: "unix:\(folder.path)/s"), threads: 1)
        sidecar.serve { _ in
            arrived.open(())
            try await mayAnswer.value()
            return .text("finished")
        }
        let path = "\(folder.path)/s"
        let answer = try await RunningService.run(sidecar) {
            _ = try await sidecar.addresses()
            let answer = Task { try await RawClient.get("/", at: path) }
            try await arrived.value()
            Task {
                while sidecar.isReady.load(ordering: .relaxed) { await Task.yield() }
                mayAnswer.open(())
            }
            return answer
        }
        #expect(try await answer.value.body == "finished")
        await #expect(throws: RawClient.Failure.self) { try await RawClient.get("/", at: path) }
    }
}
