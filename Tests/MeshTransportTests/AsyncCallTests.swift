import HTTPTypes
import MeshExchange
import MeshModel
import MeshTelemetry
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import MeshTransport

@Suite(.blocking) struct AsyncCallTests {
    private func runtime(
        _ upstream: ScriptedUpstream, _ options: MeshUnderTest.Options = MeshUnderTest.Options(),
        _ body: (MeshRuntime) async throws -> Void
    ) async throws {
        let runtime = try MeshRuntime(MeshUnderTest.configuration([upstream.address], options), threads: 2)
        do {
            try await body(runtime)
            await runtime.shutDown()
        } catch {
            await runtime.shutDown()
            throw error
        }
    }

    @Test func aCallReachesItsServiceAndBringsItsAnswer() async throws {
        let seen = Guarded("")
        let upstream = try ScriptedUpstream.answering { head in
            seen.withLock { $0 = head }
            return "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-own: 1\r\nmesh-retry: no\r\n\r\nhello"
        }
        try await runtime(upstream) { runtime in
            let trace = TraceContext(traceID: TraceID(high: 1, low: 2), spanID: SpanID(3), flags: 1)
            let answer = try await runtime.call(
                "backend", path: "/stock?sku=1", fields: [.accept: "application/json"],
                context: CallContext(deadline: HostClock.now() + Patience.call, trace: trace, requestID: "r-1"))
            #expect(answer.status == 200)
            #expect(answer.fields[HTTPField.Name("x-own")!] == "1")
            #expect(answer.fields[HTTPField.Name("mesh-retry")!] == "no")
            #expect(try await answer.body.collect(upTo: 100) == ByteBuffer(string: "hello"))
            #expect(answer.trace.traceID == trace.traceID)
        }
        let head = seen.withLock { $0 }
        #expect(head.hasPrefix("GET /stock?sku=1 HTTP/1.1\r\n"))
        #expect(field("host", head) == "backend")
        #expect(field("accept", head) == "application/json")
        #expect(field("x-request-id", head) == "r-1")
        #expect(field("mesh-caller", head) == "front")
        #expect(field("traceparent", head)?.hasPrefix("00-00000000000000010000000000000002-") == true)
        #expect(field("mesh-timeout-ms", head).flatMap { text in Int(text) }.map { (1...60_000).contains($0) } == true)
    }

    @Test func bodiesOfAllKindsArrive() async throws {
        let upstream = try ScriptedUpstream.echo()
        try await runtime(upstream) { runtime in
            for length in [0, 10, 100_000, 5_000_000] {
                let bytes = ByteBuffer(repeating: 7, count: length)
                let answer = try await runtime.call("backend", method: .put, path: "/", body: .bytes(bytes))
                #expect(try await answer.body.collect(upTo: 10_000_000) == bytes)
            }
            let answer = try await runtime.call(
                "backend", method: .post, path: "/",
                body: .stream(length: nil) { writer in
                    for _ in 0..<100 { try await writer.write(ByteBuffer(repeating: 1, count: 10_000)) }
                })
            #expect(try await answer.body.collect(upTo: 2_000_000).readableBytes == 1_000_000)
        }
    }

    @Test func manyCallsAtOnceShareTheConnections() async throws {
        let upstream = try ScriptedUpstream.echo()
        try await runtime(upstream) { runtime in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        let answer = try await runtime.call(
                            "backend", method: .put, path: "/\(number)", body: .bytes(ByteBuffer(string: "x")))
                        return try await answer.body.collect(upTo: 10).readableBytes
                    }
                }
                for try await length in group { #expect(length == 1) }
            }
        }
    }

    @Test func cancellingTheTaskCancelsTheCall() async throws {
        let began = Atomic<Bool>(false)
        let ended = Atomic<Bool>(false)
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            began.store(true, ordering: .relaxed)
            if socket.sawEnd() { ended.store(true, ordering: .relaxed) }
        }
        try await runtime(upstream) { runtime in
            let task = Task { try await runtime.call("backend", path: "/") }
            let arrived = try await onThread { eventually { began.load(ordering: .relaxed) } }
            #expect(arrived)
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            let isCancelled = try await onThread { eventually { ended.load(ordering: .relaxed) } }
            #expect(isCancelled)
        }
    }

    @Test func anAnswerThatIsNotReadIsCancelled() async throws {
        let ended = Atomic<Bool>(false)
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nbegin")
            if socket.sawEnd() { ended.store(true, ordering: .relaxed) }
        }
        try await runtime(upstream) { runtime in
            do {
                let answer = try await runtime.call("backend", path: "/")
                #expect(answer.status == 200)
            }
            let isCancelled = try await onThread { eventually { ended.load(ordering: .relaxed) } }
            #expect(isCancelled)
        }
    }

    @Test func aSlowReaderHoldsTheUpstreamBack() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            try socket.send("HTTP/1.1 200 OK\r\ncontent-length: \(100 << 20)\r\n\r\n")
            for _ in 0..<100 { try socket.send([UInt8](repeating: 1, count: 1 << 20)) }
        }
        try await runtime(upstream) { runtime in
            let answer = try await runtime.call("backend", path: "/")
            var length = 0
            for try await piece in answer.body {
                length += piece.readableBytes
                if length < 1 << 20 { await Task.yield() }
            }
            #expect(length == 100 << 20)
        }
    }

    @Test func whatTheMeshItselfDecidedIsAnError() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            _ = socket.sawEnd()
        }
        try await runtime(upstream) { runtime in
            do {
                _ = try await runtime.call("backend", path: "/", timeout: .milliseconds(50))
                Issue.record("an answer")
            } catch let error as CallError {
                #expect(error.failure?.flag == .deadlineExhausted)
                #expect(error.failure?.status == 504)
            }
            do {
                _ = try await runtime.call("nobody", path: "/")
                Issue.record("an answer")
            } catch let error as CallError {
                guard case .unknownService("nobody") = error else {
                    Issue.record("\(error)")
                    return
                }
            }
            do {
                _ = try await runtime.call("backend", path: "/ HTTP/1.1\r\nx: y\r\n\r\nGET /other")
                Issue.record("an answer")
            } catch let error as CallError {
                guard case .invalidRequest = error else {
                    Issue.record("\(error)")
                    return
                }
            }
        }
    }

    @Test func anAnswerThatBreaksOffIsAnErrorOfItsBody() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        }
        try await runtime(upstream) { runtime in
            let answer = try await runtime.call("backend", path: "/")
            await #expect(throws: CallError.self) { try await answer.body.collect(upTo: 1000) }
        }
    }
}
