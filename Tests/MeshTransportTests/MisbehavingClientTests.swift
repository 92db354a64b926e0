import Foundation
import MeshExchange
import MeshModel
import MeshPolicy
import Synchronization
import TestSupport
import Testing

@testable import MeshTransport

/// Clients that are slow, leave early, or say one thing and do another.
@Suite(.blocking) struct MisbehavingClientTests {
    @Test func aTrickledHeadIsTimedOutAlthoughItGoesOn() async throws {
        let upstream = try ScriptedUpstream.echo()
        var options = MeshUnderTest.Options()
        options.change = { $0.timeouts = .init(head: .seconds(1), idle: .seconds(75)) }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let slow = try (0..<50).map { _ in try mesh.connect() }
            for client in slow { try client.send("GET / HTTP/1.1\r\nhost: a\r\n") }
            #expect(try mesh.get("/").head.hasPrefix("HTTP/1.1 200"))
            for client in slow { try? client.send("x: 1\r\n") }
            for client in slow {
                #expect(try status(client.receiveMessage().head) == 408)
                #expect(client.sawEnd())
            }
            #expect(eventually { mesh.clientConnections == [0] })
        }
    }

    @Test func aBodyThatIsShorterThanSaidIsNeverACompleteRequest() async throws {
        let began = Atomic<Bool>(false)
        let seen = Guarded<[UInt8]?>(nil)
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receive(until: "\r\n\r\n")
            began.store(true, ordering: .relaxed)
            let body = socket.receiveToEnd() ?? []
            seen.withLock { $0 = body }
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello")
            #expect(eventually { began.load(ordering: .relaxed) })
            client.shutdownWriting()
            #expect(client.sawEnd())
            #expect(eventually { seen.withLock { $0 != nil } })
            #expect(seen.withLock { $0 }.map { $0.count < 10 } == true)
        }
    }

    @Test func chunksThatBreakOffAreNeverACompleteRequest() async throws {
        let began = Atomic<Bool>(false)
        let seen = Guarded<String?>(nil)
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receive(until: "\r\n\r\n")
            began.store(true, ordering: .relaxed)
            let body = String(decoding: socket.receiveToEnd() ?? [], as: UTF8.self)
            seen.withLock { $0 = body }
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
            #expect(eventually { began.load(ordering: .relaxed) })
            client.shutdownWriting()
            #expect(client.sawEnd())
            #expect(eventually { seen.withLock { $0 != nil } })
            #expect(seen.withLock { $0 }?.contains("0\r\n\r\n") == false)
        }
    }

    @Test func whatIsLongerThanSaidIsTheNextRequest() async throws {
        let upstream = try ScriptedUpstream.echo()
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello and more\r\n\r\n")
            #expect(try client.receiveMessage().body == Array("hello".utf8))
            #expect(try status(client.receiveMessage().head) == 400)
            #expect(client.sawEnd())
        }
    }

    @Test func requestsSentAheadAreAnsweredInOrder() async throws {
        let upstream = try ScriptedUpstream.echo()
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            let count = 500
            var requests = ""
            for number in 0..<count {
                let body = "\(number)"
                requests += "POST /\(number) HTTP/1.1\r\nhost: a\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
            }
            let all = requests
            Thread.detachNewThread { try? client.send(all) }
            for number in 0..<count { #expect(try client.receiveMessage().body == Array("\(number)".utf8)) }
            #expect(upstream.connections == 1)
        }
    }

    @Test func anExpectationThatIsRefusedEndsTheConnectionWithoutTheBody() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receive(until: "\r\n\r\n")
            try socket.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
            _ = socket.sawEnd()
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1000000\r\n\r\n")
            let answer = try client.receiveMessage()
            #expect(status(answer.head) == 403 && answer.body == Array("no".utf8))
            #expect(field("connection", answer.head) == "close" && client.sawEnd())
        }
    }

    @Test(arguments: [
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}", "SSH-2.0-OpenSSH_9\r\n", "\r\n\r\n\r\n", "GET /\r\n\r\n",
    ])
    func anotherProtocolIsRefusedAtOnce(_ opening: String) async throws {
        try await MeshUnderTest.run([]) { mesh in
            let client = try mesh.connect()
            try client.send(opening.unicodeScalars.map { UInt8($0.value) })
            #expect(try status(client.receiveMessage().head) == 400)
            #expect(client.sawEnd())
        }
    }

    @Test func anUploadThatStandsStillEnds() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receive(until: "\r\n\r\n")
            _ = socket.sawEnd()
        }
        var options = MeshUnderTest.Options()
        options.policy.streamIdleTimeout = .milliseconds(200)
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let client = try mesh.connect()
            try client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nhello")
            let answer = try client.receiveMessage()
            #expect(status(answer.head) == 504 && field("connection", answer.head) == "close")
            #expect(client.sawEnd())
        }
    }

    /// What waits for a slow client when the answer has ended is not cut off with the connection.
    @Test func aClientThatReadsSlowlyGetsTheEndOfAnAnswerThatClosesItsConnection() async throws {
        let total = 16 << 20
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            try socket.send(Array("HTTP/1.1 200 OK\r\ncontent-length: \(total)\r\n\r\n".utf8) + [UInt8](repeating: 7, count: total))
            _ = socket.sawEnd()
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            _ = try client.receive(until: "\r\n\r\n")
            var left = total
            // In bites, so that the last of it waits here for longer than the connection lingers.
            for _ in 0..<5 {
                left -= try client.receive(count: 2 << 20).count
                usleep(600_000)
            }
            #expect(client.receiveToEnd()?.count == left)
        }
    }
}
