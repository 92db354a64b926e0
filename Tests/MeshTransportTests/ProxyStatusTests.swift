import MeshExchange
import MeshModel
import MeshPolicy
import TestSupport
import Testing

@testable import MeshTransport

/// `Proxy-Status` of answers that come from below.
@Suite(.blocking) struct ProxyStatusTests {
    private static let below =
        #"echo; error=http_response_timeout; details="flag=DX; attempt=1; endpoint=6fa1c0de-0000-4000-8000-000000000001; stock: deadline passed""#

    private func entries(_ mode: InboundMode, answer: String, method: String = "GET") async throws -> [String] {
        let upstream = try ScriptedUpstream.answering { _ in answer }
        var options = MeshUnderTest.Options()
        options.mode = mode
        return try await MeshUnderTest.run([upstream.address], options) { mesh in
            let head = try mesh.request("\(method) / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n").head
            return head.split(separator: "\r\n").filter { $0.lowercased().hasPrefix("proxy-status: ") }.map { String($0.dropFirst(14)) }
        }
    }

    private static func failure(_ fields: String) -> String { "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\(fields)\r\n" }

    @Test func eachTierAddsItsEntryBehindThoseBelow() async throws {
        let answer = Self.failure("Proxy-Status: \(Self.below)\r\nmesh-retry: no\r\n")
        let entries = try await entries(.forward(to: "backend"), answer: answer)
        #expect(entries.count == 2 && entries.first == Self.below)
        #expect(entries.last?.hasPrefix("front; received-status=503; details=\"attempt=1; endpoint=") == true)
        #expect(entries.last?.hasSuffix("; backend\"") == true, "\(entries)")
    }

    @Test func theEdgeLeavesOutWhichInstanceItWas() async throws {
        let answer = Self.failure("proxy-status: \(Self.below)\r\nproxy-status: relay; received-status=504\r\nmesh-retry: no\r\n")
        let entries = try await entries(.gateway, answer: answer)
        #expect(
            entries == [
                #"echo; error=http_response_timeout; details="flag=DX; attempt=1; stock: deadline passed""#, "relay; received-status=504",
                #"front; received-status=503; details="attempt=1; backend""#,
            ])
    }

    @Test func howOftenItWasTriedIsSaid() async throws {
        let entries = try await entries(.gateway, answer: Self.failure(""))
        #expect(entries == [#"front; received-status=503; details="flag=URX; attempt=2; backend""#])
    }

    @Test func aServiceThatAnswersForItselfIsLeftAlone() async throws {
        #expect(try await entries(.gateway, answer: Self.failure(""), method: "POST").isEmpty)
        #expect(try await entries(.gateway, answer: "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").isEmpty)
    }
}
