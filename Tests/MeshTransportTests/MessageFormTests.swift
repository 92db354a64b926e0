import MeshExchange
import MeshModel
import TestSupport
import Testing

@testable import MeshTransport

@Suite(.blocking) struct MessageFormTests {
    @Test func anAnswerToHeadHasNoBody() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            while true {
                _ = try socket.receiveMessage()
                try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n")
            }
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            for _ in 0..<3 {
                try client.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
                let head = try client.receive(until: "\r\n\r\n")
                #expect(field("content-length", head) == "500")
            }
            #expect(upstream.connections == 1)
        }
    }

    @Test(arguments: ["204 No Content", "304 Not Modified"])
    func someStatusesHaveNoBody(_ line: String) async throws {
        let upstream = try ScriptedUpstream.answering { _ in "HTTP/1.1 \(line)\r\netag: \"1\"\r\n\r\n" }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            for _ in 0..<3 {
                try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                #expect(try client.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 \(line)\r\n"))
            }
            #expect(upstream.connections == 1)
        }
    }

    @Test func continueComesFromTheUpstream() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            let head = try socket.receive(until: "\r\n\r\n")
            try socket.send("HTTP/1.1 100 Continue\r\n\r\n")
            let body = try socket.receive(count: 5)
            try socket.send("HTTP/1.1 200 OK\r\nx-expect: \(field("expect", head) ?? "")\r\ncontent-length: 5\r\n\r\n")
            try socket.send(body)
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
            #expect(try client.receive(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try client.send("hello")
            let answer = try client.receiveMessage()
            #expect(field("x-expect", answer.head) == "100-continue")
            #expect(answer.body == Array("hello".utf8))
        }
    }

    @Test func earlyHintsArePassedOnBeforeTheAnswer() async throws {
        let upstream = try ScriptedUpstream.answering { _ in
            "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            for _ in 0..<2 {
                try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                #expect(try client.receive(until: "\r\n\r\n") == "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n")
                #expect(try client.receiveMessage().body == Array("ok".utf8))
            }
        }
    }

    @Test func chunksAndTrailersPassThroughBothWays() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receive(until: "\r\n\r\n")
            let body = try socket.receive(until: "x-sum: 1\r\n\r\n")
            try socket.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\(body)")
            _ = socket.sawEnd()
        }
        let body = "5;note=1\r\nhello\r\n6\r\n world\r\n0\r\nx-sum: 1\r\n\r\n"
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\(body)")
            _ = try client.receive(until: "\r\n\r\n")
            #expect(try client.receive(until: "x-sum: 1\r\n\r\n") == body)
        }
    }

    @Test func trailersOfTheMeshDoNotCrossItsBorder() async throws {
        let seen = Guarded("")
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receive(until: "\r\n\r\n")
            let body = try socket.receive(until: "x-last: 1\r\n\r\n")
            seen.withLock { $0 = body }
            try socket.send(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nmesh-credit-spent: 1\r\nx-last: 1\r\n\r\n")
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send(
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nmesh-secret: 1\r\nx-last: 1\r\n\r\n")
            _ = try client.receive(until: "\r\n\r\n")
            #expect(try client.receive(until: "x-last: 1\r\n\r\n") == "2\r\nok\r\n0\r\nx-last: 1\r\n\r\n")
        }
        #expect(seen.withLock { $0 } == "2\r\nok\r\n0\r\nx-last: 1\r\n\r\n")
    }

    @Test func chunksAreTakenOffForAnOldClient() async throws {
        let upstream = try ScriptedUpstream.answering { _ in
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n")
            let text = String(decoding: client.receiveToEnd() ?? [], as: UTF8.self)
            #expect(text.hasSuffix("\r\n\r\nhello world"))
            #expect(!text.lowercased().contains("transfer-encoding"))
        }
    }

    @Test func anEarlyAnswerReachesAClientThatIsStillSending() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receive(until: "\r\n\r\n")
            try socket.send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig")
            _ = socket.sawEnd()
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n" + String(repeating: "x", count: 1000))
            let answer = try client.receiveMessage()
            #expect(status(answer.head) == 413)
            #expect(field("connection", answer.head) == "close")
            #expect(answer.body == Array("big".utf8))
            #expect(client.sawEnd())
        }
    }

    @Test func theRestOfAShortBodyIsReadPastAnEarlyAnswer() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            let head = try socket.receive(until: "\r\n\r\n")
            let length = head.contains("content-length: 100\r\n") ? "early" : "plain"
            try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n\(length)")
            _ = socket.sawEnd()
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n" + String(repeating: "x", count: 40))
            #expect(try client.receiveMessage().body == Array("early".utf8))
            try client.send(String(repeating: "x", count: 60) + "GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(try client.receiveMessage().body == Array("plain".utf8))
        }
    }

    @Test func aTrickledRequestIsReadWhole() async throws {
        let upstream = try ScriptedUpstream.echo()
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            for byte in "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nhost: a\r\n\r\n".utf8 {
                try client.send([byte])
            }
            #expect(try client.receiveMessage().body == Array("hello".utf8))
            #expect(try status(client.receiveMessage().head) == 200)
        }
    }

    @Test func connectionCloseIsHonoured() async throws {
        let upstream = try ScriptedUpstream.echo()
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            let text = String(decoding: client.receiveToEnd() ?? [], as: UTF8.self)
            #expect(text.contains("connection: close\r\n"))
            // What the client does with its connection does not concern the one behind.
            _ = try mesh.get("/")
            #expect(upstream.connections == 1)
        }
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400), ("GET  / HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        ("GET /%zz HTTP/1.1\r\nhost: a\r\n\r\n", 400), ("GET /../x HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET /\(String(repeating: "a", count: 9000)) HTTP/1.1\r\nhost: a\r\n\r\n", 414),
        ("GET / HTTP/1.1\r\nhost: a\r\nx: \(String(repeating: "a", count: 40000))\r\n\r\n", 431),
        ("GET / HTTP/1.1\r\nhost: a\r\n\((0..<150).map { "x\($0): 1\r\n" }.joined())\r\n", 431),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2000\r\n\r\n", 413), ("GET / HTTP/2.0\r\nhost: a\r\n\r\n", 505),
    ])
    func whatIsMalformedIsRefusedAndTheConnectionEnds(_ request: String, _ expected: Int) async throws {
        let upstream = try ScriptedUpstream.echo()
        var options = MeshUnderTest.Options()
        options.change = { $0.limits.bodyBytes = 1000 }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let client = try mesh.connect()
            try client.send(request)
            let answer = try client.receiveMessage()
            #expect(status(answer.head) == expected)
            #expect(field("connection", answer.head) == "close")
            #expect(client.sawEnd())
            #expect(upstream.connections == 0)
        }
    }

    @Test func aBadChunkAfterTheHeadWasForwardedCancelsTheCall() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receive(until: "\r\n\r\n")
            _ = socket.sawEnd()
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let answer = try mesh.request("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n")
            #expect(status(answer.head) == 400)
        }
    }

    @Test func aSlowHeadIsTimedOut() async throws {
        var options = MeshUnderTest.Options()
        options.change = { $0.timeouts = .init(head: .milliseconds(50), idle: .seconds(75)) }
        try await MeshUnderTest.run([], options) { mesh in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n")
            #expect(try status(client.receiveMessage().head) == 408)
            #expect(client.sawEnd())
        }
    }

    @Test func anIdleConnectionIsClosed() async throws {
        var options = MeshUnderTest.Options()
        options.change = { $0.timeouts = .init(head: .seconds(10), idle: .seconds(1)) }
        let upstream = try ScriptedUpstream.echo()
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(try status(client.receiveMessage().head) == 200)
            #expect(client.sawEnd())
        }
    }
}
