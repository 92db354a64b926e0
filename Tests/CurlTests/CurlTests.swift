import Foundation
import MeshModel
import TestSupport
import Testing

@testable import Curl

@Suite(.blocking) struct RequestsAndAnswers {
    @Test func theHeadIsSentAsItWasGiven() throws {
        let heads = Guarded<[String]>([])
        let server = try RawServer { connection in
            while let head = connection.head() {
                heads.withLock { $0.append(head) }
                connection.answer("hello", fields: "X-One: 1\r\nx-one:  2 \r\nEmpty:\r\n")
            }
        }
        defer { server.stop() }
        let response = try CurlClient().send(
            CurlRequest("GET", server.url + "/a/../b?c=d", headers: [CurlHeader("Accept", "text/plain"), CurlHeader("X-Empty", "")]))
        #expect(response.status == 200)
        #expect(response.version == "HTTP/1.1")
        #expect(response.text == "hello")
        #expect(response.headers["X-ONE"] == "1")
        #expect(response.headers.values(of: "x-one") == ["1", "2"])
        #expect(response.headers["empty"] == "")
        #expect(
            heads.withLock { $0 } == [
                "GET /a/../b?c=d HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\nAccept: text/plain\r\nX-Empty:\r\n\r\n"
            ])
    }

    @Test(arguments: ["POST", "PUT", "PATCH"]) func aMethodThatExpectsABodySaysThatThereIsNone(method: String) throws {
        let server = try RawServer { connection in
            while let head = connection.head() { connection.answer(head) }
        }
        defer { server.stop() }
        let head = try CurlClient().send(CurlRequest(method, server.url + "/")).text
        #expect(head.hasPrefix("\(method) / HTTP/1.1\r\n"))
        #expect(head.contains("Content-Length: 0\r\n"))
        #expect(!head.contains("Content-Type"))
    }

    @Test func aBodyIsSentWithItsLengthAndComesBack() throws {
        let server = try RawServer { connection in
            guard let head = connection.head(), let line = head.split(separator: "\r\n").first(where: { $0.hasPrefix("Content-Length: ") }),
                let count = Int(line.dropFirst(16)), let body = connection.body(count)
            else { return }
            connection.write("HTTP/1.1 201 Created\r\nContent-Length: \(count)\r\n\r\n")
            connection.write(body)
        }
        defer { server.stop() }
        let body = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let response = try CurlClient().send(CurlRequest("POST", server.url + "/", body: .bytes(body)))
        #expect(response.status == 201)
        #expect(response.body == body)
        #expect(response.isSuccess)
    }

    @Test func aStreamedBodyIsChunked() throws {
        let server = try RawServer { connection in
            guard let head = connection.head(), let body = connection.text(upTo: "0\r\n\r\n") else { return }
            connection.answer((head.contains("Transfer-Encoding: chunked") ? "chunked " : "") + body.replacing("\r\n", with: "|"))
        }
        defer { server.stop() }
        let pieces = Guarded<[String]>(["one", "two"])
        let request = CurlRequest(
            "PUT", server.url + "/",
            body: .stream { _ in pieces.withLock { $0.isEmpty ? nil : Array($0.removeFirst().utf8) } })
        #expect(try CurlClient().send(request).text == "chunked 3|one|3|two|0||")
    }

    @Test func headHasNoBody() throws {
        let server = try RawServer { connection in
            guard let head = connection.head() else { return }
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: \(head.prefix(4))\r\n\r\n")
            connection.waitForClose()
        }
        defer { server.stop() }
        let response = try CurlClient().send(CurlRequest("HEAD", server.url + "/"))
        #expect(response.headers["content-length"] == "5")
        #expect(response.headers["x"] == "HEAD")
        #expect(response.body.isEmpty)
    }

    @Test func interimAnswersAndTrailersAreKept() throws {
        let server = try RawServer { connection in
            guard connection.head() != nil else { return }
            connection.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n2\r\nab\r\n0\r\nSum: 7\r\n\r\n")
        }
        defer { server.stop() }
        let response = try CurlClient().send(CurlRequest("GET", server.url + "/"))
        #expect(response.informational.map(\.status) == [103])
        #expect(response.informational.first?.headers["link"] == "</a>")
        #expect(response.status == 200)
        #expect(response.headers["link"] == nil)
        #expect(response.text == "ab")
        #expect(response.trailers == [CurlHeader("Sum", "7")])
    }

    @Test func aUnixSocketCarriesARequest() throws {
        let server = try RawServer(.unix) { connection in
            while let head = connection.head() { connection.answer(head) }
        }
        defer { server.stop() }
        let response = try CurlClient().send(CurlRequest("GET", "http://mesh/v1/status", unixSocket: server.path))
        #expect(response.text == "GET /v1/status HTTP/1.1\r\nHost: mesh\r\nAccept: */*\r\n\r\n")
    }

    @Test func aNameIsResolvedAsTheRequestSays() throws {
        let server = try RawServer { connection in
            while let head = connection.head() { connection.answer(head.contains("Host: shop.test:") ? "yes" : "no") }
        }
        defer { server.stop() }
        let request = CurlRequest("GET", "http://shop.test:\(server.port)/", resolve: ["shop.test:\(server.port):127.0.0.1"])
        #expect(try CurlClient().send(request).text == "yes")
    }
}

@Suite(.blocking) struct Connections {
    @Test func aConnectionIsReusedUnlessTheRequestForbidsIt() throws {
        let server = try RawServer { connection in
            while connection.head() != nil { connection.answer("x") }
        }
        defer { server.stop() }
        let client = CurlClient()
        #expect(try !client.send(CurlRequest("GET", server.url)).connection.wasReused)
        #expect(try client.send(CurlRequest("GET", server.url)).connection.wasReused)
        #expect(server.connections == 1)
        #expect(try !client.send(CurlRequest("GET", server.url, reusesConnection: false, keepsConnection: false)).connection.wasReused)
        #expect(server.connections == 2)
        client.closeIdleConnections()
        #expect(try !client.send(CurlRequest("GET", server.url)).connection.wasReused)
    }

    /// Fifty requests in flight at once: the server answers none of them before all have come.
    @Test func requestsRunInParallel() throws {
        let count = 50
        let gate = Gate(count)
        let server = try RawServer { connection in
            while let head = connection.head() {
                gate.arrive()
                connection.answer(String(head.split(separator: " ")[1]))
            }
        }
        defer { server.stop() }
        let results = CurlClient().sendAll((0..<count).map { CurlRequest("GET", server.url + "/\($0)") }, concurrency: count)
        #expect(try results.map { try $0.get().text } == (0..<count).map { "/\($0)" })
    }

    @Test func aTaskWaitsWithoutAThread() async throws {
        let server = try RawServer { connection in
            while connection.head() != nil { connection.answer("x") }
        }
        defer { server.stop() }
        let client = CurlClient()
        let texts = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<8 { group.addTask { try await client.response(to: CurlRequest("GET", server.url)).text } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(texts == Array(repeating: "x", count: 8))
    }

    @Test func phasesStandInTheirOrder() throws {
        let server = try RawServer { connection in
            while connection.head() != nil { connection.answer("x") }
        }
        defer { server.stop() }
        let phases = try CurlClient().send(CurlRequest("GET", server.url)).phases
        #expect(phases.total > .zero)
        #expect(phases.tls == .zero)
        #expect(phases.nameLookedUp <= phases.connected)
        #expect(phases.connected <= phases.firstByte)
        #expect(phases.firstByte <= phases.ended)
        #expect(phases.dns + phases.connect + phases.wait + phases.transfer <= phases.total)
    }
}

@Suite(.blocking) struct Streams {
    @Test func linesComeWhileTheAnswerIsStillRunning() throws {
        let seen = Gate(1)
        let server = try RawServer(.unix) { connection in
            guard connection.head() != nil else { return }
            connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\none\ntw\r\n")
            seen.wait()
            connection.write("2\r\no\n\r\n3\r\nend\r\n0\r\n\r\n")
        }
        defer { server.stop() }
        var lines: [String] = []
        let response = try CurlClient().lines(CurlRequest("GET", "http://mesh/", unixSocket: server.path)) { line in
            lines.append(String(decoding: line, as: UTF8.self))
            if lines.count == 1 { seen.arrive() }
            return .goOn
        }
        #expect(lines == ["one", "two", "end"])
        #expect(response.body.isEmpty)
    }

    @Test func aStreamCanBeStoppedByItsReader() throws {
        let server = try RawServer { connection in
            guard connection.head() != nil else { return }
            connection.write("HTTP/1.1 200 OK\r\n\r\n1\n2\n3\n")
            connection.waitForClose()
        }
        defer { server.stop() }
        var lines = 0
        let response = try CurlClient().lines(CurlRequest("GET", server.url)) { _ in
            lines += 1
            return lines == 2 ? .stop : .goOn
        }
        #expect(lines == 2)
        #expect(response.status == 200)
    }

    @Test func anAnswerThatIsNoSuccessIsCollectedInsteadOfStreamed() throws {
        let server = try RawServer { connection in
            guard connection.head() != nil else { return }
            connection.answer("{\"title\":\"no\"}\n", status: "409 Conflict")
        }
        defer { server.stop() }
        let response = try CurlClient().lines(CurlRequest("POST", server.url)) { _ in
            Issue.record("not a line of the stream")
            return .goOn
        }
        #expect(response.status == 409)
        #expect(response.text == "{\"title\":\"no\"}\n")
    }

    @Test func anotherThreadCanCancel() throws {
        let server = try RawServer { connection in
            guard connection.head() != nil else { return }
            connection.write("HTTP/1.1 200 OK\r\n\r\nfirst\n")
            connection.waitForClose()
        }
        defer { server.stop() }
        let cancellation = CurlCancellation()
        let error = #expect(throws: CurlError.self) {
            try CurlClient().lines(CurlRequest("GET", server.url, timeout: nil), cancellation: cancellation) { _ in
                Thread.detachNewThread { cancellation.cancel() }
                return .goOn
            }
        }
        #expect(error?.kind == .cancelled)
        #expect(error?.status == 200)
        #expect(cancellation.isCancelled)
        let late = #expect(throws: CurlError.self) { try CurlClient().send(CurlRequest("GET", server.url), cancellation: cancellation) }
        #expect(late?.kind == .cancelled)
    }

    @Test func linesDoNotDependOnThePieces() {
        let text = Array("\none\n\ntwo\nrest".utf8)
        for size in 1...text.count {
            var splitter = LineSplitter()
            var lines: [[UInt8]] = []
            for start in stride(from: 0, to: text.count, by: size) {
                let goesOn = splitter.feed(text[start..<min(text.count, start + size)]) {
                    lines.append($0)
                    return true
                }
                #expect(goesOn)
            }
            #expect(lines.map { String(decoding: $0, as: UTF8.self) } == ["", "one", "", "two"])
            #expect(splitter.finish().map { String(decoding: $0, as: UTF8.self) } == "rest")
            #expect(splitter.finish() == nil)
        }
    }
}

@Suite(.blocking) struct Failures {
    private func failure(of request: CurlRequest) -> CurlError? {
        #expect(throws: CurlError.self) { try CurlClient().send(request) }
    }

    @Test func nobodyListens() throws {
        let server = try RawServer { _ in }
        server.stop()
        let error = failure(of: CurlRequest("GET", server.url))
        #expect(error?.kind == .cannotConnect)
        #expect(error?.description.contains("127.0.0.1") == true)
        #expect(error?.code == 7)
        #expect(failure(of: CurlRequest("GET", "http://mesh/", unixSocket: "/nonexistent/control.sock"))?.kind == .cannotConnect)
    }

    @Test func theAnswerIsLate() throws {
        let server = try RawServer { $0.waitForClose() }
        defer { server.stop() }
        let error = failure(of: CurlRequest("GET", server.url, timeout: .milliseconds(50)))
        #expect(error?.kind == .timedOut)
        #expect(error?.status == nil)
    }

    @Test func theConnectionIsClosedWithoutAnAnswer() throws {
        let server = try RawServer { _ = $0.head() }
        defer { server.stop() }
        #expect(failure(of: CurlRequest("GET", server.url))?.kind == .closed)
    }

    @Test func theConnectionIsReset() throws {
        let server = try RawServer {
            _ = $0.head()
            $0.resetOnClose()
        }
        defer { server.stop() }
        #expect(failure(of: CurlRequest("GET", server.url))?.kind == .closed)
    }

    @Test func theBodyEndsTooSoon() throws {
        let server = try RawServer {
            _ = $0.head()
            $0.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        }
        defer { server.stop() }
        let error = failure(of: CurlRequest("GET", server.url))
        #expect(error?.kind == .bodyIncomplete)
        #expect(error?.status == 200)
    }

    @Test func theBodyIsTooLarge() throws {
        let server = try RawServer {
            _ = $0.head()
            $0.answer("0123456789")
        }
        defer { server.stop() }
        #expect(failure(of: CurlRequest("GET", server.url, bodyLimit: 9))?.kind == .bodyTooLarge)
        let whole = try CurlClient().send(CurlRequest("GET", server.url, bodyLimit: 10))
        #expect(whole.body.count == 10)
    }

    @Test func theAnswerIsNotHTTP() throws {
        let server = try RawServer {
            _ = $0.head()
            $0.write("SSH-2.0-OpenSSH\r\n")
        }
        defer { server.stop() }
        #expect(failure(of: CurlRequest("GET", server.url))?.kind == .protocolError)
    }

    @Test func theURLIsWrong() {
        #expect(failure(of: CurlRequest("GET", "http://"))?.kind == .malformedURL)
        #expect(failure(of: CurlRequest("GET", "http://127.0.0.1:99999/"))?.kind == .malformedURL)
    }

    @Test func aFailedRequestLeavesNothingBehindForTheNext() throws {
        let server = try RawServer { connection in
            while let head = connection.head() { connection.answer(head) }
        }
        defer { server.stop() }
        let client = CurlClient()
        #expect(throws: CurlError.self) {
            try client.send(
                CurlRequest("DELETE", "http://mesh/", unixSocket: "/nonexistent", headers: [CurlHeader("X", "1")], body: .text("x")))
        }
        let head = try client.send(CurlRequest("GET", server.url + "/")).text
        #expect(head == "GET / HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\nAccept: */*\r\n\r\n")
    }
}

/// Opens when a number of arrivals is reached.
final class Gate: Sendable {
    private let condition = NSCondition()
    private let missing: Guarded<Int>

    init(_ count: Int) { missing = Guarded(count) }

    func arrive() {
        condition.lock()
        missing.withLock { $0 -= 1 }
        condition.broadcast()
        while missing.withLock({ $0 > 0 }), condition.wait(until: Date(timeIntervalSinceNow: 10)) {}
        condition.unlock()
    }

    func wait() {
        condition.lock()
        while missing.withLock({ $0 > 0 }), condition.wait(until: Date(timeIntervalSinceNow: 10)) {}
        condition.unlock()
    }
}
