import MeshModel
import TestSupport
import Testing

@testable import MeshTransport

/// A head waits for the piece of body that was read with it, since two packets cost nearly twice what one does; and for no other.
@Suite(.blocking) struct BodyWithHeadTests {
    @Test(arguments: [1, 500, 20_000]) func aHeadLeavesWithTheBodyThatCameWithIt(size: Int) async throws {
        let bodyBesideHead = Guarded<[Int]>([])
        let upstream = try ScriptedUpstream { socket, _ in
            while true {
                let first = try socket.receive()
                guard let end = first.firstRange(of: Array("\r\n\r\n".utf8))?.upperBound else { return }
                bodyBesideHead.withLock { $0.append(first.count - end) }
                if first.count - end < size { _ = try socket.receive(count: size - (first.count - end)) }
                try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            }
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            for _ in 0..<30 {
                try client.send(
                    "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: \(size)\r\n\r\n\(String(repeating: "x", count: size))")
                #expect(status(try client.receiveMessage().head) == 200)
            }
        }
        let counts = bodyBesideHead.withLock { $0 }
        #expect(counts.count == 30)
        #expect(counts.allSatisfy { $0 > 0 }, "\(counts)")
    }

    /// Nothing of the body, and a chunk's size that is cut off.
    @Test(arguments: ["", "5"]) func aBodyThatCannotBeUsedYetDoesNotHoldUpItsHead(atHand: String) async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            while true {
                _ = try socket.receive(until: "\r\n\r\n")
                try socket.send("HTTP/1.1 100 Continue\r\n\r\n")
                _ = try socket.receive(until: "0\r\n\r\n")
                try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            }
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            // The second request finds a connection that stands.
            for _ in 0..<2 {
                try client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\(atHand)")
                #expect(status(try client.receive(until: "\r\n\r\n")) == 100)
                try client.send("\(atHand.isEmpty ? "5" : "")\r\nhello\r\n0\r\n\r\n")
                #expect(status(try client.receiveMessage().head) == 200)
            }
        }
    }
}
