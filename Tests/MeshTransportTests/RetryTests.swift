import Foundation
import MeshExchange
import MeshModel
import MeshPolicy
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import MeshTransport

@Suite(.blocking) struct RetryTests {
    private let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    @Test func anEndpointThatRefusesConnectionsIsPassedOver() async throws {
        let upstream = try ScriptedUpstream.answering { _ in "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" }
        let closed = RefusingPort()
        try await MeshUnderTest.run([closed.address, upstream.address]) { mesh in
            for _ in 0..<20 {
                // Nothing was sent, so that a POST is tried elsewhere as well.
                let answer = try mesh.request("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
                #expect(status(answer.head) == 200)
            }
        }
        withExtendedLifetime(closed) {}
    }

    /// Over a Unix socket the refusal, and the connection that follows it, come before `connect` has returned.
    @Test func aSocketThatRefusesIsPassedOverAndTheRestOfTheBodyFollows() async throws {
        let folder = NSTemporaryDirectory() + "mesh-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let heads = Atomic<Int>(0)
        let upstream = try ScriptedUpstream(path: folder + "/alive.sock") { socket, _ in
            while true {
                _ = try socket.receive(until: "\r\n\r\n")
                heads.wrappingAdd(1, ordering: .relaxed)
                let body = try socket.receive(count: 6)
                try socket.send(Array("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 6\r\n\r\n".utf8) + body)
                return
            }
        }
        let refusing = SocketAddress.unix(path: folder + "/refusing.sock")
        var options = MeshUnderTest.Options()
        options.policy.breaker = nil
        try await MeshUnderTest.run([refusing, upstream.address], options) { mesh in
            for number in 1...10 {
                let client = try mesh.connect()
                try client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nabc")
                #expect(eventually { heads.load(ordering: .relaxed) == number })
                try client.send("def")
                let answer = try client.receiveMessage()
                #expect(status(answer.head) == 200 && answer.body == Array("abcdef".utf8))
            }
        }
        upstream.stop()
    }

    @Test func aBodyIsSentAgainWhenTheAttemptIsRepeated() async throws {
        let bodies = Guarded<[String]>([])
        let upstream = try ScriptedUpstream { socket, _ in
            while true {
                let message = try socket.receiveMessage()
                let number = bodies.withLock { bodies -> Int in
                    bodies.append(String(decoding: message.body, as: UTF8.self))
                    return bodies.count
                }
                try socket.send(
                    number == 1
                        ? "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\n\r\nlater"
                        : "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            }
        }
        let body = String(repeating: "abcdefgh", count: 5000)
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let answer = try mesh.request("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)")
            #expect(status(answer.head) == 200)
        }
        #expect(bodies.withLock { $0 } == [body, body])
    }

    @Test func aChunkedBodyIsSentAgainToo() async throws {
        let bodies = Guarded<[String]>([])
        let upstream = try ScriptedUpstream { socket, number in
            let message = try socket.receiveMessage()
            bodies.withLock { $0.append(String(decoding: message.body, as: UTF8.self)) }
            if number > 0 { try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") }
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let answer = try mesh.request(
                "PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
            #expect(status(answer.head) == 200)
        }
        #expect(bodies.withLock { $0 } == ["abcdefg", "abcdefg"])
    }

    @Test func aPostThatWasSentIsNotSentAgain() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            socket.reset()
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let answer = try mesh.request("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
            #expect(status(answer.head) == 502)
            #expect(upstream.connections == 1)
        }
    }

    @Test func aGetIsTriedTwiceAndNotMore() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            socket.reset()
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            do {
                let answer = try mesh.get("/")
                #expect(status(answer.head) == 502)
            }
            #expect(upstream.connections == 2)
        }
    }

    @Test func aBodyOverTheReplayBufferIsSentOnce() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            let message = try socket.receiveMessage()
            try socket.send("HTTP/1.1 503 Service Unavailable\r\nx-length: \(message.body.count)\r\ncontent-length: 0\r\n\r\n")
        }
        let body = String(repeating: "x", count: 300_000)
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let answer = try mesh.request("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)")
            #expect(status(answer.head) == 503, "\(answer.head)")
            #expect(field("x-length", answer.head) == "300000")
            #expect(upstream.connections == 1)
            #expect(mesh.runtime.shared.replay.overflows == 1)
        }
    }

    @Test func theReplayAccountIsEvenAfterwards() async throws {
        let upstream = try ScriptedUpstream.echo()
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let body = String(repeating: "x", count: 30_000)
            for _ in 0..<5 {
                let answer = try mesh.request("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)")
                #expect(answer.body.count == body.utf8.count)
            }
            #expect(mesh.runtime.shared.replay.bytes == 0)
        }
    }

    @Test func aFullReplayAccountMakesCallsUnrepeatableAndFailsNone() {
        let account = ReplayAccount(limit: 100)
        var first = ReplayBuffer()
        var second = ReplayBuffer()
        let firstFits = first.append(.init(repeating: 1, count: 80), account: account)
        let secondFits = second.append(.init(repeating: 1, count: 30), account: account)
        #expect(firstFits && !secondFits)
        first.close(account: account)
        #expect(account.bytes == 0)
        let secondFitsNow = second.append(.init(repeating: 1, count: 30), account: account)
        #expect(secondFitsNow)
        second.reset(account: account)
        #expect(account.bytes == 0)
    }

    @Test func aConnectionThatThePeerClosedWhileIdleFailsNoRequest() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            // Without a word about it in the head.
            try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            socket.close()
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            for _ in 0..<20 {
                try client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
                #expect(try status(client.receiveMessage().head) == 200)
                // The end of the connection is on its way before the next request is.
                #expect(eventually { mesh.idleUpstreamConnections == 0 })
            }
            #expect(upstream.connections == 20)
        }
    }

    @Test func aPostOnAStaleConnectionIsSafeEvenBeforeItsEndWasSeen() async throws {
        let closed = Atomic<Int>(0)
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            socket.close()
            closed.wrappingAdd(1, ordering: .relaxed)
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            for number in 0..<20 {
                try client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
                let answer = try client.receiveMessage()
                #expect(status(answer.head) == 200, "request \(number): \(answer.head)")
                #expect(eventually { closed.load(ordering: .relaxed) > number })
            }
        }
    }

    @Test func aFailedAnswerIsDiscardedAndItsConnectionUsedAgain() async throws {
        let requests = Atomic<Int>(0)
        let upstream = try ScriptedUpstream.answering { _ in
            requests.wrappingAdd(1, ordering: .relaxed).oldValue == 0
                ? "HTTP/1.1 503 Service Unavailable\r\ntransfer-encoding: chunked\r\n\r\n5\r\nlater\r\n0\r\n\r\n"
                : "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let answer = try mesh.get("/")
            #expect(status(answer.head) == 200)
            #expect(answer.body == Array("ok".utf8))
            #expect(upstream.connections == 1)
        }
    }
}

/// `mesh-retry-credit` down the tiers, `mesh-credit-spent` back.
@Suite(.blocking) struct RetryCreditTests {
    private static func answer(_ status: Int, _ fields: String = "") -> String {
        "HTTP/1.1 \(status) X\r\ncontent-length: 0\r\n\(fields)\r\n"
    }

    /// A proxy between a scripted caller and scripted upstreams; what reached the upstreams, and what the caller was told.
    private func run(
        _ mode: InboundMode, request: String, attempts: Int = 3, isExternal: Bool = false, answers: [String]
    ) async throws -> (credits: [String?], head: String) {
        let credits = Guarded<[String?]>([])
        let upstream = try ScriptedUpstream.answering { head in
            credits.withLock { credits in
                credits.append(field("mesh-retry-credit", head))
                return answers[min(credits.count, answers.count) - 1]
            }
        }
        var options = MeshUnderTest.Options()
        options.mode = mode
        options.policy.retry.attempts = attempts
        options.policy.breaker = nil
        options.isExternal = isExternal
        let head = try await MeshUnderTest.run([upstream.address], options) { mesh in
            try mesh.request("GET /a HTTP/1.1\r\nhost: a\r\n\(request)\r\n").head
        }
        return (credits.withLock { $0 }, head)
    }

    @Test func theGatewayGrantsItAndBelievesNoStranger() async throws {
        let (credits, head) = try await run(
            .gateway, request: "mesh-retry-credit: 90\r\n",
            answers: [Self.answer(503), Self.answer(503, "mesh-credit-spent: 1\r\n"), Self.answer(200)])
        #expect(credits == ["2", "1", "0"])
        #expect(status(head) == 200 && field("mesh-credit-spent", head) == nil)
    }

    @Test func aProxyPassesItOnAndSaysWhatWasSpent() async throws {
        let (credits, head) = try await run(
            .forward(to: "backend"), request: "mesh-retry-credit: 2\r\n",
            answers: [Self.answer(503, "mesh-credit-spent: 0\r\n"), Self.answer(200, "mesh-credit-spent: 1\r\n")])
        #expect(credits == ["2", "1"])
        #expect(status(head) == 200 && field("mesh-credit-spent", head) == "2")
    }

    @Test func withoutCreditThereIsOneAttemptAndNobodyAboveTriesAgain() async throws {
        let (credits, head) = try await run(.forward(to: "backend"), request: "mesh-retry-credit: 0\r\n", answers: [Self.answer(503)])
        #expect(credits == ["0"])
        #expect(status(head) == 503 && field("mesh-retry", head) == "no" && field("mesh-credit-spent", head) == "0")
    }

    @Test func theRootOfARequestGrants() async throws {
        let (credits, head) = try await run(.forward(to: "backend"), request: "", answers: [Self.answer(503), Self.answer(200)])
        #expect(credits == ["3", "2"])
        #expect(status(head) == 200 && field("mesh-credit-spent", head) == nil)
    }

    @Test func aServiceThatIsNotOursGetsNone() async throws {
        let (credits, head) = try await run(
            .gateway, request: "", isExternal: true,
            answers: [Self.answer(503, "mesh-credit-spent: 3\r\nmesh-retry: no\r\n"), Self.answer(200)])
        #expect(credits == [nil, nil] && status(head) == 200)
    }

    @Test func callsOfOneHandlerShareIt() async throws {
        let credits = Guarded<[String]>([])
        let upstream = try ScriptedUpstream.answering { head in
            credits.withLock { $0.append("\(head.contains("/first") ? "first" : "second") \(field("mesh-retry-credit", head) ?? "-")") }
            return head.contains("/first") ? Self.answer(503) : Self.answer(200, "mesh-credit-spent: 0\r\n")
        }
        let runtime = Guarded<MeshRuntime?>(nil)
        var options = MeshUnderTest.Options()
        options.policy.breaker = nil
        options.mode = .handler { request in
            let runtime = runtime.withLock { $0! }
            for path in ["/first", "/second"] {
                _ = try await runtime.call("backend", path: path, context: CallContext(credit: request.context.credit))
            }
            return OutboundResponse(status: 200)
        }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            runtime.withLock { $0 = mesh.runtime }
            let head = try mesh.get("/", fields: "mesh-retry-credit: 2\r\n").head
            #expect(field("mesh-credit-spent", head) == "1")
            let without = try mesh.get("/").head
            #expect(field("mesh-credit-spent", without) == nil)
        }
        #expect(credits.withLock { $0 } == ["first 1", "first 1", "second 1", "first 2", "first 1", "second 1"])
    }
}
