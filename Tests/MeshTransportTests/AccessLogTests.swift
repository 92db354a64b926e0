import Foundation
import MeshExchange
import MeshModel
import MeshPolicy
import TestSupport
import Testing

@testable import MeshTransport

@Suite(.blocking) struct AccessLogTests {
    private let path = FileManager.default.temporaryDirectory.appendingPathComponent("mesh-access-\(UUID().uuidString).log").path

    private func options(
        _ format: AccessLogConfiguration.Format, _ change: @escaping @Sendable (inout SnapshotConfiguration) -> Void = { _ in }
    ) -> MeshUnderTest.Options {
        var options = MeshUnderTest.Options()
        let path = path
        options.change = {
            $0.accessLog = AccessLogConfiguration(file: path, format: format)
            change(&$0)
        }
        return options
    }

    private func lines() -> [String] {
        ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "").split(separator: "\n").map(String.init)
    }

    private func remove() { try? FileManager.default.removeItem(atPath: path) }

    private func objects() throws -> [[String: Any]] {
        try lines().map { line in try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]) }
    }

    @Test func aRequestIsOneLine() async throws {
        defer { remove() }
        let upstream = try ScriptedUpstream.answering { _ in "HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nhello" }
        try await MeshUnderTest.run([upstream.address], options(.json)) { mesh in
            let answer = try mesh.request("POST /orders?x=1 HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
            #expect(eventually { lines().count == 1 })
            let line = try objects()[0]
            #expect(line["client"] as? String == "127.0.0.1" && line["method"] as? String == "POST")
            #expect(line["target"] as? String == "/orders?x=1" && line["protocol"] as? String == "HTTP/1.1")
            #expect(line["status"] as? Int == 201 && line["flag"] == nil)
            #expect(line["bytes_in"] as? Int == 3 && line["bytes_out"] as? Int == 5)
            #expect(line["route"] as? String == "/**" && line["to"] as? String == "backend")
            #expect(line["trace_id"] as? String == field("mesh-trace", answer.head))
            let attempts = try #require(line["attempts"] as? [[String: Any]])
            #expect(attempts.count == 1 && attempts[0]["status"] as? Int == 201)
            let total = try #require(line["ms"] as? Double)
            let first = try #require(attempts[0]["first_byte_ms"] as? Double)
            #expect(first > 0 && first <= total)
        }
    }

    @Test func whatFailedSaysWhere() async throws {
        defer { remove() }
        let upstream = try ScriptedUpstream.answering { _ in "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n" }
        try await MeshUnderTest.run([upstream.address], options(.json)) { mesh in
            _ = try mesh.get("/")
            #expect(eventually { lines().count == 1 })
            let attempts = try #require(try objects()[0]["attempts"] as? [[String: Any]])
            #expect(attempts.count == 2 && attempts.allSatisfy { $0["status"] as? Int == 503 })
        }
    }

    @Test func theTextHasTheSame() async throws {
        defer { remove() }
        let upstream = try ScriptedUpstream.answering { _ in "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello" }
        try await MeshUnderTest.run([upstream.address], options(.text)) { mesh in
            _ = try mesh.get("/a")
            #expect(eventually { lines().count == 1 })
            let line = lines()[0]
            #expect(line.contains(" 127.0.0.1 \"GET /a HTTP/1.1\" 200 - bytes=0/5 ms="))
            #expect(line.contains(" route=\"/**\" to=backend attempt=") && line.contains(" trace="))
        }
    }

    @Test func whatTheGatewayAnswersItselfIsThereButNotItsHealth() async throws {
        defer { remove() }
        try await MeshUnderTest.run([], options(.json) { $0.routes = [] }) { mesh in
            #expect(try status(mesh.get("/-/healthy").head) == 200)
            #expect(try status(mesh.get("/none").head) == 404)
            #expect(eventually { !lines().isEmpty })
            let all = try objects()
            #expect(all.count == 1 && all[0]["status"] as? Int == 404 && all[0]["flag"] as? String == "NR")
        }
    }

    @Test(arguments: [AccessLogConfiguration.Format.text, .json]) func noValueEndsTheLine(_ format: AccessLogConfiguration.Format)
        async throws
    {
        defer { remove() }
        let upstream = try ScriptedUpstream.answering { _ in "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" }
        let route = RouteConfiguration(pattern: "/**", target: "backend", name: "a\"b\\c\r\nd\u{e9}")
        try await MeshUnderTest.run([upstream.address], options(format) { $0.routes = [route] }) { mesh in
            _ = try mesh.get("/")
            #expect(eventually { lines().count == 1 })
            switch format {
            case .text: #expect(lines()[0].contains(#"route="a\"b\\c\x0d\x0ad\xc3\xa9""#))
            case .json: #expect(try objects()[0]["route"] as? String == "a\"b\\c\r\nd\u{c3}\u{a9}")
            }
        }
    }

    @Test func aNewConfigurationOpensTheFileAnew() async throws {
        defer { remove() }
        let moved = path + ".1"
        defer { try? FileManager.default.removeItem(atPath: moved) }
        let upstream = try ScriptedUpstream.answering { _ in "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" }
        try await MeshUnderTest.run([upstream.address], options(.text)) { mesh in
            _ = try mesh.get("/old")
            #expect(eventually { lines().count == 1 })
            try FileManager.default.moveItem(atPath: path, toPath: moved)
            try mesh.runtime.install(mesh.runtime.snapshot.configuration)
            _ = try mesh.get("/new")
            #expect(eventually { lines().count == 1 && lines()[0].contains("/new") })
            #expect(try String(contentsOfFile: moved, encoding: .utf8).contains("/old"))
        }
    }

    @Test func whatCannotBeTakenIsCounted() throws {
        defer { remove() }
        let log = try AccessLog(AccessLogConfiguration(file: path))
        log.append([UInt8](repeating: 0x61, count: AccessLog.most + 1), count: 7)
        log.append(Array("one\n".utf8), count: 1)
        log.flush()
        #expect(eventually { lines().count == 2 })
        #expect(lines()[0] == "one" && lines()[1].hasSuffix(" lost=7"))
    }

    @Test func aFileThatCannotBeOpenedIsSaid() {
        let error = #expect(throws: AccessLogUnusable.self) { try AccessLog(AccessLogConfiguration(file: "/none/of/this.log")) }
        #expect(error?.description.contains("/none/of/this.log") == true)
    }
}
