import Foundation
import MeshExchange
import MeshModel
import MeshPolicy
import Synchronization
import TestSupport
import Testing

@testable import MeshTransport

/// Upstreams that break HTTP, or the connection: whatever they do, the client is told the truth, and nobody else is troubled.
///
/// One after the other: each keeps the machine busy with calls beside it, and many at once would starve all.
@Suite(.blocking, .serialized) struct MisbehavingUpstreamTests {
    struct Case: CustomTestStringConvertible, Sendable {
        enum Outcome: Equatable, Sendable {
            /// The mesh's own answer.
            case answer(Int)
            /// A head, and then an end of the connection that cannot be taken for that of the body.
            case brokenOff
            case complete(String)
        }

        var testDescription: String
        var outcome: Outcome
        /// What is done with the connection once a request's head has come.
        var script: @Sendable (RawSocket) throws -> Void

        init(_ description: String, _ outcome: Outcome, _ script: @escaping @Sendable (RawSocket) throws -> Void) {
            testDescription = description
            self.outcome = outcome
            self.script = script
        }

        init(_ description: String, _ outcome: Outcome, says text: String) {
            self.init(description, outcome) { try $0.send(text) }
        }
    }

    private static let half = String(repeating: "x", count: 500)
    private static let ok = "HTTP/1.1 200 OK\r\n"

    static let cases: [Case] = [
        Case("ends in the middle of a body", .brokenOff, says: "\(ok)content-length: 1000\r\n\r\n\(half)"),
        Case("ends behind the head", .brokenOff, says: "\(ok)content-length: 1000\r\n\r\n"),
        Case("resets in the middle of a body", .brokenOff) { socket in
            try socket.send("\(ok)content-length: 1000\r\n\r\n\(half)")
            usleep(20_000)
            socket.reset()
        },
        Case("resets in the middle of a body that has no length", .brokenOff) { socket in
            try socket.send("\(ok)\r\n\(half)")
            usleep(20_000)
            socket.reset()
        },
        Case("ends in the middle of a chunk", .brokenOff, says: "\(ok)transfer-encoding: chunked\r\n\r\n3e8\r\n\(half)"),
        Case("ends between two chunks", .brokenOff, says: "\(ok)transfer-encoding: chunked\r\n\r\n1f4\r\n\(half)\r\n"),
        Case("ends in the last chunk", .brokenOff, says: "\(ok)transfer-encoding: chunked\r\n\r\n1f4\r\n\(half)\r\n0\r\n"),
        Case("ends in the trailers", .brokenOff, says: "\(ok)transfer-encoding: chunked\r\n\r\n1f4\r\n\(half)\r\n0\r\nx: 1\r\n"),
        Case("sends a bad chunk size", .brokenOff, says: "\(ok)transfer-encoding: chunked\r\n\r\n1f4\r\n\(half)\r\n-1\r\nx\r\n"),
        Case("sends trailers that rule framing", .brokenOff, says: "\(ok)transfer-encoding: chunked\r\n\r\n0\r\ncontent-length: 9\r\n\r\n"),
        Case("falls silent in a body", .brokenOff) { socket in
            try socket.send("\(ok)content-length: 1000\r\n\r\n\(half)")
            _ = socket.sawEnd()
        },
        Case("sends garbage", .answer(502), says: "\u{1}\u{2}\u{3} this is no HTTP\r\n\r\n"),
        Case("sends another protocol's version", .answer(502), says: "HTTP/3.0 200 OK\r\ncontent-length: 0\r\n\r\n"),
        Case("says two lengths", .answer(502), says: "\(ok)content-length: 3\r\ncontent-length: 5\r\n\r\nabcde"),
        Case("says a length twice", .answer(502), says: "\(ok)content-length: 3, 3\r\n\r\nabc"),
        Case("says a negative length", .answer(502), says: "\(ok)content-length: -1\r\n\r\n"),
        Case("says a length that overflows", .answer(502), says: "\(ok)content-length: 99999999999999999999\r\n\r\n"),
        Case("says length and chunks", .answer(502), says: "\(ok)content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        Case("says an unknown coding", .answer(502), says: "\(ok)transfer-encoding: gzip\r\n\r\nxxxx"),
        Case("splits a line", .answer(502), says: "\(ok)x: a\r\n b\r\ncontent-length: 0\r\n\r\n"),
        Case("sends a header of a megabyte", .answer(502)) { socket in
            try socket.send("\(ok)x: " + String(repeating: "y", count: 1 << 20) + "\r\n\r\n")
        },
        Case("sends ten thousand fields", .answer(502)) { socket in
            try socket.send(ok + String(repeating: "x: y\r\n", count: 10_000) + "\r\n")
        },
        Case("ends in the head", .answer(502), says: "\(ok)content-le"),
        Case("ends before the head", .answer(502)) { _ in },
        Case("resets before the head", .answer(502)) { $0.reset() },
        Case("switches unasked", .answer(502), says: "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
        Case("trickles a head without end", .answer(504)) { socket in
            try socket.send("\(ok)x: ")
            while true {
                try socket.send("y")
                usleep(10_000)
            }
        },
        Case("is silent", .answer(504)) { _ = $0.sawEnd() },
        Case("sends 1xx without end", .answer(502)) { socket in
            while true { try socket.send(String(repeating: "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", count: 100)) }
        },
        Case("sends 1xx and nothing more", .answer(504)) { socket in
            try socket.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
            _ = socket.sawEnd()
        },
        Case("sends more than it said", .complete("abc"), says: "\(ok)content-length: 3\r\n\r\nabcdef\(ok)content-length: 4\r\n\r\nevil"),
        Case("sends a body where there is none", .complete(""), says: "HTTP/1.1 204 No Content\r\n\r\n\(half)"),
        Case("says a word too many", .complete("abc"), says: "\(ok)content-length: 3\r\nserver: \u{e9}\u{ff}\r\n\r\nabc"),
        Case("sends no reason", .complete("abc"), says: "HTTP/1.1 200\r\ncontent-length: 3\r\n\r\nabc"),
        Case("ends a body by its end", .complete(half)) { socket in
            try socket.send("\(ok)\r\n\(half)")
            socket.shutdownWriting()
        },
        Case("is old", .complete("abc")) { socket in
            try socket.send("HTTP/1.0 200 OK\r\n\r\nabc")
            socket.shutdownWriting()
        },
    ]

    @Test(arguments: cases) func theClientIsToldTheTruth(_ test: Case) async throws {
        for method in ["GET", "POST"] { try await check(test, method) }
    }

    private func check(_ test: Case, _ method: String) async throws {
        let attempts = Atomic<Int>(0)
        let bad = try ScriptedUpstream { socket, _ in
            while true {
                let head = try socket.receive(until: "\r\n\r\n")
                attempts.wrappingAdd(1, ordering: .relaxed)
                if head.hasPrefix("POST") { _ = try socket.receive(count: 4) }
                try test.script(socket)
                if case .complete = test.outcome { _ = socket.sawEnd() }
                return
            }
        }
        let good = try ScriptedUpstream.answering { _ in "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood" }
        var options = MeshUnderTest.Options()
        // Endings that only a clock brings come soon; all others come long before.
        let isTimed = test.outcome == .answer(504)
        options.policy.timeout = isTimed ? .seconds(3) : Patience.call
        options.policy.streamIdleTimeout = .milliseconds(400)
        options.policy.breaker = nil
        let goodAddress = good.address
        options.change = { configuration in
            var random = RandomSource.fromSystem()
            configuration.destinations.append(
                DestinationConfiguration(
                    service: "good", tier: "enterprise", policy: CallPolicy(timeout: Patience.call),
                    endpoints: [Endpoint(instance: .random(&random), addresses: [goodAddress])]))
            configuration.routes.append(RouteConfiguration(pattern: "/good/**", target: "good"))
        }
        try await MeshUnderTest.run([bad.address], options) { mesh in
            let others = try Others(mesh)
            let client = try mesh.connect()
            let answeredBefore = others.answered
            try client.send("\(method) /bad HTTP/1.1\r\nhost: a\r\n" + (method == "POST" ? "content-length: 4\r\n\r\nbody" : "\r\n"))
            let reading = Reading(client)
            // Had they waited for the bad one, there would be one at most.
            if isTimed { #expect(others.answered - answeredBefore > 1, "\(method)") }
            #expect(reading.outcome == test.outcome, "\(method): \(reading.head) \(reading.body.prefix(100))")
            let most = method == "GET" ? 2 : 1
            #expect((1...most).contains(attempts.load(ordering: .relaxed)), "\(method)")
            // The connection either ends, or carries the next exchange as if nothing had been.
            if reading.outcome == .brokenOff || field("connection", reading.head) == "close" {
                #expect(client.sawEnd())
            } else {
                try client.send("GET /good/1 HTTP/1.1\r\nhost: a\r\n\r\n")
                #expect(try client.receiveMessage().body == Array("good".utf8), "\(method)")
            }
            #expect(try mesh.get("/good/2").body == Array("good".utf8))
            #expect(others.stop(), "\(method)")
        }
        good.stop()
        bad.stop()
    }

    /// What a client makes of an answer.
    private struct Reading {
        var head = ""
        var body = ""
        var outcome: Case.Outcome

        init(_ client: RawSocket) {
            outcome = .brokenOff
            do {
                repeat { head = try client.receive(until: "\r\n\r\n") } while head.hasPrefix("HTTP/1.1 1")
                body = String(decoding: try Self.body(client, head), as: UTF8.self)
                let isOurs = field("content-type", head) == "application/problem+json"
                outcome = isOurs ? .answer(status(head)) : .complete(body)
            } catch {
                outcome = .brokenOff
            }
        }

        private static func body(_ client: RawSocket, _ head: String) throws -> [UInt8] {
            if status(head) == 204 { return [] }
            if let length = field("content-length", head) { return try client.receive(count: Int(length)!) }
            guard field("transfer-encoding", head) == "chunked" else { throw RawSocket.Failed(description: "no length") }
            var body: [UInt8] = []
            while true {
                let line = try client.receive(until: "\r\n")
                guard let size = Int(line.trimmingCharacters(in: .newlines), radix: 16) else {
                    throw RawSocket.Failed(description: "no chunk size")
                }
                if size == 0 {
                    while try client.receive(until: "\r\n") != "\r\n" {}
                    return body
                }
                body += try client.receive(count: size)
                _ = try client.receive(until: "\r\n")
            }
        }
    }

    /// Calls to another service, one after the other, all the while.
    private final class Others: Sendable {
        private let count = Atomic<Int>(0)
        private let hasFailed = Atomic<Bool>(false)
        private let isStopped = Atomic<Bool>(false)
        private let hasEnded = Atomic<Bool>(false)

        init(_ mesh: MeshUnderTest) throws {
            let client = try mesh.connect()
            Thread.detachNewThread { [self] in
                defer { hasEnded.store(true, ordering: .relaxed) }
                while !isStopped.load(ordering: .relaxed) {
                    guard (try? client.send("GET /good/0 HTTP/1.1\r\nhost: a\r\n\r\n")) != nil,
                        (try? client.receiveMessage())?.body == Array("good".utf8)
                    else {
                        hasFailed.store(true, ordering: .relaxed)
                        return
                    }
                    count.wrappingAdd(1, ordering: .relaxed)
                    usleep(1000)
                }
            }
        }

        /// So many were answered.
        var answered: Int { count.load(ordering: .relaxed) }

        /// Ends them; false where one was not answered as it should have been.
        func stop() -> Bool {
            isStopped.store(true, ordering: .relaxed)
            return eventually { hasEnded.load(ordering: .relaxed) } && !hasFailed.load(ordering: .relaxed)
        }
    }
}
