import MeshControlProtocol
import Testing

@Suite struct FrameTests {
    static let frames = [
        Frame(type: 1, payload: Array("{}".utf8)), Frame(type: 5, payload: []), Frame(type: 255, payload: Array(repeating: 7, count: 300)),
    ]

    static func stream() throws -> [UInt8] {
        var bytes: [UInt8] = []
        for frame in frames { try frame.encode(into: &bytes) }
        return bytes
    }

    @Test func `a frame is its length in network order, its type and its payload`() throws {
        #expect(try Frame(type: 9, payload: [1, 2, 3]).encoded() == [0, 0, 0, 3, 9, 1, 2, 3])
    }

    @Test func `a stream split at any byte gives the same frames`() throws {
        let bytes = try Self.stream()
        for cut in 0...bytes.count {
            var decoder = FrameDecoder()
            var read: [Frame] = []
            for part in [bytes[..<cut], bytes[cut...]] {
                decoder.append(Array(part))
                while let frame = try decoder.next() { read.append(frame) }
            }
            #expect(read == Self.frames, "cut at \(cut)")
        }
    }

    @Test func `a stream that trickles byte by byte gives the same frames`() throws {
        var decoder = FrameDecoder()
        var read: [Frame] = []
        for byte in try Self.stream() {
            decoder.append([byte])
            while let frame = try decoder.next() { read.append(frame) }
        }
        #expect(read == Self.frames)
    }

    @Test func `a frame over the limit is refused by its header alone`() {
        var decoder = FrameDecoder()
        decoder.append([0x01, 0x00, 0x00, 0x01, 1])
        #expect(throws: FrameError.oversized(length: Frame.payloadLimit + 1)) { _ = try decoder.next() }
    }

    @Test func `a frame over the limit is not sent`() {
        let frame = Frame(type: 5, payload: Array(repeating: 0, count: Frame.payloadLimit + 1))
        #expect(throws: FrameError.oversized(length: Frame.payloadLimit + 1)) { _ = try frame.encoded() }
    }

    @Test func `a frame of exactly the limit passes`() throws {
        let frame = Frame(type: 5, payload: Array(repeating: 1, count: Frame.payloadLimit))
        var decoder = FrameDecoder()
        decoder.append(try frame.encoded())
        #expect(try decoder.next() == frame)
    }
}
