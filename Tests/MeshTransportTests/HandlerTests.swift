import HTTPTypes
import MeshExchange
import MeshModel
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import MeshTransport

@Suite(.blocking) struct HandlerTests {
    private func options(_ handler: @escaping @Sendable (InboundRequest) async throws -> OutboundResponse) -> MeshUnderTest.Options {
        var options = MeshUnderTest.Options()
        options.mode = .handler(handler)
        return options
    }

    @Test func aHandlerSeesTheRequestAndItsAnswerReachesTheClient() async throws {
        let options = options { request in
            #expect(request.method == .post)
            #expect(request.path == "/a/b?c=d")
            #expect(request.authority == "shop")
            #expect(request.context.callerService == "orders")
            #expect(request.context.trace.traceID.description == "0123456789abcdef0123456789abcdef")
            #expect(request.context.deadline.map { $0 - request.context.received } == .seconds(20))
            #expect(request.fields[HTTPField.Name("mesh-caller")!] == nil)
            let body = try await request.body.collect(upTo: 1000)
            return OutboundResponse(status: 201, fields: [.location: "/a/1"], body: .bytes(body))
        }
        try await MeshUnderTest.run([], options) { mesh in
            let client = try mesh.connect()
            for _ in 0..<3 {
                try client.send(
                    "POST /a/./b?c=d HTTP/1.1\r\nhost: shop\r\nmesh-caller: orders\r\nmesh-timeout-ms: 20000\r\ntraceparent: 00-0123456789abcdef0123456789abcdef-0123456789abcdef-01\r\ncontent-length: 5\r\n\r\nhello"
                )
                let answer = try client.receiveMessage()
                #expect(status(answer.head) == 201)
                #expect(field("location", answer.head) == "/a/1")
                #expect(field("date", answer.head) != nil)
                #expect(answer.body == Array("hello".utf8))
            }
        }
    }

    /// They are put into strings when somebody asks, when the connection has long read other heads into the same memory.
    @Test func fieldsAreThoseOfTheirRequestWheneverTheyAreRead() async throws {
        let kept = Guarded<[InboundRequest]>([])
        let options = options { request in
            kept.withLock { $0.append(request) }
            var pieces = 0
            for try await _ in request.body { pieces += 1 }
            return OutboundResponse(status: pieces == 0 ? 200 : 500)
        }
        try await MeshUnderTest.run([], options) { mesh in
            let client = try mesh.connect()
            for number in 0..<3 {
                try client.send(
                    "GET / HTTP/1.1\r\nhost: a\r\nconnection: x-hop\r\nx-hop: 1\r\nx-number: \(number)\r\nmesh-caller: b\r\nx-number: 9\r\n\r\n"
                )
                #expect(try status(client.receiveMessage().head) == 200)
            }
        }
        let fields = kept.withLock { $0.map(\.fields) }
        #expect(fields == (0..<3).map { [HTTPField.Name("x-number")!: "\($0)", HTTPField.Name("x-number")!: "9"] })
        #expect(kept.withLock { $0.map(\.fields) } == fields)
    }

    /// The body lies beside its head, or behind it on its way; then the next request, which has to wait for its own answer.
    @Test(arguments: [false, true]) func aConnectionGoesOnAfterABodyThatItsHandlerLeft(cameWithItsHead: Bool) async throws {
        let (gate, opener) = AsyncStream.makeStream(of: Void.self)
        let options = options { request in
            for await _ in gate { break }
            return OutboundResponse(status: 200, body: .bytes(ByteBuffer(string: request.path)))
        }
        try await MeshUnderTest.run([], options) { mesh in
            let client = try mesh.connect()
            let loop = mesh.runtime.loops[0]
            let head = "POST /1 HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n"
            let rest = "{}GET /2 HTTP/1.1\r\nhost: a\r\n\r\n"
            try client.send(cameWithItsHead ? head + rest : head)
            #expect(
                eventually {
                    (try? loop.eventLoop.submit { (loop.connections.values.first as? ServerConnection)?.handler != nil }.wait()) ?? false
                })
            opener.yield()
            let first = try client.receiveMessage()
            #expect(first.body == Array("/1".utf8) && field("connection", first.head) == nil)
            if !cameWithItsHead { try client.send(rest) }
            opener.yield()
            #expect(try client.receiveMessage().body == Array("/2".utf8))
            try client.send("GET /3 HTTP/1.1\r\nhost: a\r\n\r\n")
            opener.yield()
            #expect(try client.receiveMessage().body == Array("/3".utf8))
        }
    }

    @Test(arguments: [false, true])
    func nothingOfARequestStaysAfterItsAnswer(isStreamed: Bool) async throws {
        let (gate, opener) = AsyncStream.makeStream(of: Void.self)
        let options = options { request in
            _ = try await request.body.collect(upTo: 1000)
            for await _ in gate { break }
            guard isStreamed else { return OutboundResponse(status: 200, body: .bytes(ByteBuffer(string: "hello"))) }
            return OutboundResponse(status: 200, body: .stream(length: 5) { try await $0.write(ByteBuffer(string: "hello")) })
        }
        try await MeshUnderTest.run([], options) { mesh in
            final class Weak: @unchecked Sendable { weak var handler: InboundHandlerTask? }
            let seen = Weak()
            let loop = mesh.runtime.loops[0]
            func onLoop(_ fact: @escaping @Sendable () -> Bool) throws -> Bool {
                for _ in 0..<1000 where try loop.eventLoop.submit(fact).wait() { return true }
                return false
            }
            let client = try mesh.connect()
            try client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello")
            let isFound = try onLoop {
                seen.handler = (loop.connections.values.first as? ServerConnection)?.handler
                return seen.handler != nil
            }
            #expect(isFound)
            opener.yield()
            #expect(try client.receiveMessage().body == Array("hello".utf8))
            // The task lets go of it at its own time; a cycle never does.
            #expect(try onLoop { seen.handler == nil })
        }
    }

    @Test func bodiesStreamBothWaysAtOnce() async throws {
        let options = options { request in
            OutboundResponse(
                status: 200,
                body: .stream(length: nil) { writer in
                    for try await piece in request.body { try await writer.write(piece) }
                    writer.setTrailers([HTTPField.Name("x-end")!: "1"])
                })
        }
        try await MeshUnderTest.run([], options) { mesh in
            let client = try mesh.connect()
            try client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
            let head = try client.receive(until: "\r\n\r\n")
            #expect(field("transfer-encoding", head) == "chunked")
            #expect(try client.receive(until: "hello\r\n") == "5\r\nhello\r\n")
            try client.send("3\r\nabc\r\n0\r\n\r\n")
            #expect(try client.receive(until: "x-end: 1\r\n\r\n") == "3\r\nabc\r\n0\r\nx-end: 1\r\n\r\n")
        }
    }

    @Test func continueIsSentWhenTheBodyIsAskedFor() async throws {
        let options = options { request in
            request.path == "/no"
                ? OutboundResponse(status: 403) : OutboundResponse(status: 200, body: .bytes(try await request.body.collect(upTo: 100)))
        }
        try await MeshUnderTest.run([], options) { mesh in
            let client = try mesh.connect()
            try client.send("POST /yes HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
            #expect(try client.receive(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try client.send("hello")
            #expect(try client.receiveMessage().body == Array("hello".utf8))
            let other = try mesh.connect()
            try other.send("POST /no HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
            let answer = try other.receiveMessage()
            #expect(status(answer.head) == 403)
        }
    }

    @Test func aHandlerCanPassARequestOn() async throws {
        let upstream = try ScriptedUpstream.echo()
        let options = options { request in request.forward(to: request.path == "/nobody" ? "nobody" : "backend") }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let client = try mesh.connect()
            for length in [0, 5, 100_000] {
                let body = String(repeating: "x", count: length)
                try client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: \(length)\r\n\r\n\(body)")
                let answer = try client.receiveMessage()
                #expect(status(answer.head) == 200)
                #expect(answer.body.count == length)
            }
            let answer = try mesh.get("/nobody")
            #expect(status(answer.head) == 503)
        }
    }

    @Test func aHandlerThatThrowsIsAnInternalError() async throws {
        struct Failed: Error {}
        let options = options { _ in throw Failed() }
        try await MeshUnderTest.run([], options) { mesh in
            let answer = try mesh.get("/")
            #expect(status(answer.head) == 500)
            #expect(!String(decoding: answer.body, as: UTF8.self).contains("Failed"))
        }
    }

    @Test func aBodyThatBreaksOffDoesNotLookComplete() async throws {
        struct Failed: Error {}
        let options = options { request in
            OutboundResponse(
                status: 200,
                body: .stream(length: request.path == "/long" ? 100 : nil) { writer in
                    try await writer.write(ByteBuffer(string: "half"))
                    if request.path == "/chunks" { throw Failed() }
                })
        }
        try await MeshUnderTest.run([], options) { mesh in
            for path in ["/chunks", "/long"] {
                let client = try mesh.connect()
                try client.send("GET \(path) HTTP/1.1\r\nhost: a\r\n\r\n")
                let text = String(decoding: client.receiveToEnd() ?? [], as: UTF8.self)
                #expect(!text.contains("\r\n0\r\n\r\n"))
            }
        }
    }

    @Test func aClientThatLeavesCancelsTheHandler() async throws {
        let began = Atomic<Bool>(false)
        let cancelled = Atomic<Bool>(false)
        let options = options { _ in
            began.store(true, ordering: .relaxed)
            do {
                try await Task.sleep(for: .seconds(60))
            } catch {
                cancelled.store(true, ordering: .relaxed)
                throw error
            }
            return OutboundResponse(status: 200)
        }
        try await MeshUnderTest.run([], options) { mesh in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(eventually { began.load(ordering: .relaxed) })
            client.close()
            #expect(eventually { cancelled.load(ordering: .relaxed) })
        }
    }

    @Test func theDeadlineEndsAHandlerThatIsLate() async throws {
        let cancelled = Atomic<Bool>(false)
        let options = options { _ in
            do {
                try await Task.sleep(for: .seconds(60))
            } catch {
                cancelled.store(true, ordering: .relaxed)
            }
            return OutboundResponse(status: 200)
        }
        try await MeshUnderTest.run([], options) { mesh in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.1\r\nhost: a\r\nmesh-timeout-ms: 50\r\n\r\n")
            let answer = try client.receiveMessage()
            #expect(status(answer.head) == 504)
            #expect(field("mesh-retry", answer.head) == "no")
            #expect(eventually { cancelled.load(ordering: .relaxed) })
            // The connection goes on.
            try client.send("GET / HTTP/1.1\r\nhost: a\r\nmesh-timeout-ms: 0\r\n\r\n")
            #expect(try client.receiveMessage().head.contains("flag=DX"))
        }
    }

    @Test func anUnreadBodyDoesNotDisturbTheNextRequest() async throws {
        let options = options { request in OutboundResponse(status: 200, body: .bytes(ByteBuffer(string: request.path))) }
        try await MeshUnderTest.run([], options) { mesh in
            let client = try mesh.connect()
            try client.send("POST /1 HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n01234")
            #expect(try client.receiveMessage().body == Array("/1".utf8))
            try client.send("56789GET /2 HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(try client.receiveMessage().body == Array("/2".utf8))
        }
    }
}
