import MeshHTTP
import MeshModel
import Testing

/// What a body turned out to be.
struct ReadBody: Equatable {
    var data = ""
    var trailers: [String] = []
    /// Bytes of the message that belong to the body.
    var length = 0
    var isEnded = false
}

/// Reads a body by `next`, its bytes given in pieces that end at `cuts`.
func readBody(_ message: [UInt8], _ framing: BodyFraming, limit: UInt64 = .max, cuts: Cuts? = nil) -> Result<ReadBody, MessageError> {
    do throws(MessageError) {
        var decoder = try BodyDecoder(framing, limit: limit)
        var body = ReadBody()
        var fields = FieldList()
        for end in (cuts ?? .whole(message.count)).ends {
            while body.length < end, !decoder.isEnded {
                let piece = Array(message[body.length..<end])
                let step = try GuardedBytes.with(piece) { bytes throws(MessageError) in try decoder.next(bytes) }
                body.data += text(piece[step.data])
                body.length += step.consumed
                guard step.following == .trailers else { continue }
                let rest = Array(message[body.length..<end])
                let length = try GuardedBytes.with(rest) { bytes throws(MessageError) in try decoder.readTrailers(bytes, into: &fields) }
                guard let length else { break }
                for index in fields.indices { body.trailers.append("\(rest.text(fields[index].name)): \(rest.text(fields[index].value))") }
                body.length += length
            }
        }
        body.isEnded = decoder.isEnded
        return .success(body)
    } catch {
        return .failure(error)
    }
}

/// Follows a body by `advance`; the bytes before any trailer section, and whether one came.
func followBody(_ message: [UInt8], _ framing: BodyFraming, cuts: Cuts? = nil) -> Result<(Int, BodyDecoder.Following), MessageError> {
    do throws(MessageError) {
        var decoder = BodyDecoder(framing)
        var length = 0
        var following = BodyDecoder.Following.more
        for end in (cuts ?? .whole(message.count)).ends where following == .more {
            let advance = try GuardedBytes.with(message[length..<end]) { bytes throws(MessageError) in try decoder.advance(bytes) }
            length += advance.consumed
            following = advance.following
        }
        return .success((length, following))
    } catch {
        return .failure(error)
    }
}

@Suite struct BodyDecoderTests {
    @Test func aLengthEndsTheBody() throws {
        let body = try readBody(bytes("hello, next"), .length(5)).get()
        #expect(body == ReadBody(data: "hello", length: 5, isEnded: true))
        #expect(try readBody(bytes("hel"), .length(5)).get() == ReadBody(data: "hel", length: 3))
        #expect(BodyDecoder(.length(0)).isEnded)
        #expect(BodyDecoder(.none).isEnded)
    }

    @Test func aBodyUntilCloseEndsWithTheConnection() throws {
        var decoder = BodyDecoder(.untilClose)
        let advance = try [UInt8](repeating: 1, count: 9).withUnsafeBytes { try decoder.advance($0) }
        #expect(advance.consumed == 9 && advance.following == .more)
        try decoder.connectionEnded()
        #expect(decoder.isEnded)
    }

    @Test(arguments: [BodyFraming.length(5), .chunked])
    func aConnectionThatEndsEarlyIsNoEnd(_ framing: BodyFraming) {
        var decoder = BodyDecoder(framing)
        #expect(throws: MessageError(.truncated)) { try decoder.connectionEnded() }
    }

    static let good: [(String, String, [String])] = [
        ("0\r\n\r\n", "", []),
        ("5\r\nhello\r\n0\r\n\r\n", "hello", []),
        ("5\r\nhello\r\n8\r\n, world!\r\n000\r\n\r\n", "hello, world!", []),
        ("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", []),
        ("5;name=value\r\nhello\r\n0;last\r\n\r\n", "hello", []),
        ("5 ; name = \"a;b\"\r\nhello\r\n0\r\n\r\n", "hello", []),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", []),
        ("1\r\nx\r\n0\r\nDigest: abc\r\nX: \r\n\r\n", "x", ["Digest: abc", "X: "]),
        ("0000000000000001\r\nx\r\n0\r\n\r\n", "x", []),
    ]

    @Test(arguments: good)
    func chunksAreReadHoweverTheyAreCut(_ message: String, _ data: String, _ trailers: [String]) throws {
        let whole = bytes(message)
        let expected = ReadBody(data: data, trailers: trailers, length: whole.count, isEnded: true)
        #expect(try readBody(whole + bytes("GET /"), .chunked).get() == expected)
        #expect(try readBody(whole, .chunked, cuts: .everyByte(whole.count)).get() == expected)
        for cut in 1..<whole.count {
            #expect(try readBody(whole, .chunked, cuts: .at(cut, of: whole.count)).get() == expected, "cut at \(cut)")
            let (length, following) = try followBody(whole, .chunked, cuts: .at(cut, of: whole.count)).get()
            #expect(following == (trailers.isEmpty ? .ended : .trailers), "cut at \(cut)")
            if trailers.isEmpty { #expect(length == whole.count, "cut at \(cut)") }
        }
    }

    static let bad: [(String, MessageError.Reason)] = [
        ("\r\n", .chunkSize), ("x\r\n", .chunkSize), (" 5\r\nhello\r\n", .chunkSize), ("-1\r\n", .chunkSize),
        ("+5\r\nhello\r\n", .chunkSize),
        ("0x5\r\nhello\r\n", .chunkSize), ("5_0\r\n", .chunkSize), ("5 \r\nhello\r\n", .chunkSize), ("5 x\r\n", .chunkSize),
        ("8000000000000000\r\n", .chunkSize), ("ffffffffffffffff\r\n", .chunkSize), ("00000000000000005\r\nhello\r\n", .chunkSize),
        ("10000000000000005\r\nhello\r\n", .chunkSize),
        ("5\nhello\r\n", .bareLineFeed), ("5\rhello", .bareCarriageReturn), ("5;x\nhello\r\n", .bareLineFeed),
        ("5;x\rhello", .bareCarriageReturn), ("5;\u{0}\r\nhello\r\n", .chunkExtension), ("5;\u{e9}\r\nhello\r\n", .chunkExtension),
        ("5\r\nhelloX\r\n", .chunkEnd), ("5\r\nhello\n0\r\n\r\n", .chunkEnd), ("5\r\nhello\rX", .chunkEnd),
        ("5\r\nhello0\r\n\r\n", .chunkEnd),
        ("0\r\n\rX", .bareCarriageReturn), ("0\r\n\n", .bareLineFeed),
        ("0\r\nContent-Length: 5\r\n\r\n", .trailers), ("0\r\nTransfer-Encoding: chunked\r\n\r\n", .trailers),
        ("0\r\nHost: evil\r\n\r\n", .trailers), ("0\r\nBad Name: x\r\n\r\n", .spaceBeforeColon), ("0\r\nX: a\u{0}\r\n\r\n", .fieldValue),
        ("0\r\n x: folded\r\n\r\n", .foldedLine),
    ]

    @Test(arguments: bad)
    func badChunksAreRefusedHoweverTheyAreCut(_ message: String, _ reason: MessageError.Reason) {
        let whole = bytes(message)
        #expect(readBody(whole, .chunked) == .failure(MessageError(reason)))
        #expect(readBody(whole, .chunked, cuts: .everyByte(whole.count)) == .failure(MessageError(reason)))
    }

    @Test func extensionsAreLimited() throws {
        let long = "1;" + String(repeating: "e", count: 1022)
        #expect(readBody(bytes(long + "\r\nx\r\n0\r\n\r\n"), .chunked).isSuccess)
        #expect(readBody(bytes(long + "e\r\nx\r\n0\r\n\r\n"), .chunked) == .failure(MessageError(.chunkExtension)))
        // Small ones too, where there are many of them and little data.
        let many = String(repeating: "1;" + String(repeating: "e", count: 99) + "\r\nx\r\n", count: 43)
        #expect(readBody(bytes(many), .chunked) == .failure(MessageError(.chunkExtension)))
        let paid = String(
            repeating: "64;" + String(repeating: "e", count: 99) + "\r\n" + String(repeating: "x", count: 100) + "\r\n", count: 99)
        #expect(readBody(bytes(paid), .chunked).isSuccess)
    }

    @Test func theBodyLimitHolds() {
        #expect(throws: MessageError(.bodyTooLarge)) { _ = try BodyDecoder(.length(11), limit: 10) }
        #expect(MessageError(.bodyTooLarge).status == 413)
        #expect(readBody(bytes("6\r\nabcdef\r\n4\r\nghij\r\n0\r\n\r\n"), .chunked, limit: 10).isSuccess)
        #expect(readBody(bytes("6\r\nabcdef\r\n5\r\nghijk\r\n0\r\n\r\n"), .chunked, limit: 10) == .failure(MessageError(.bodyTooLarge)))
        #expect(readBody(bytes("0123456789"), .untilClose, limit: 10).isSuccess)
        #expect(readBody(bytes("01234567890"), .untilClose, limit: 10) == .failure(MessageError(.bodyTooLarge)))
        #expect(readBody(bytes("ffffff\r\n"), .chunked, limit: 10) == .failure(MessageError(.bodyTooLarge)))
    }

    @Test func aTrailerSectionIsLimited() {
        let large = "0\r\nX: " + String(repeating: "x", count: 8 << 10)
        #expect(readBody(bytes(large), .chunked) == .failure(MessageError(.headTooLarge)))
        let many = "0\r\n" + String(repeating: "x: y\r\n", count: 33)
        #expect(readBody(bytes(many), .chunked) == .failure(MessageError(.tooManyFields)))
    }

    @Test func whatChunkWriterWritesIsRead() throws {
        var random = RandomSource(seed: 7)
        for _ in 0..<200 {
            var message: [UInt8] = []
            var data = ""
            for _ in 0..<random.next(below: 6) {
                let chunk = (0...random.next(below: 300)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                ChunkWriter.begin(chunk.count, into: &message)
                message += chunk
                ChunkWriter.end(into: &message)
                data += text(chunk)
            }
            let hasTrailers = random.next(below: 2) == 0
            if hasTrailers {
                ChunkWriter.zero(into: &message)
                HeadWriter.field("digest", "abc", into: &message)
                ChunkWriter.end(into: &message)
            } else {
                ChunkWriter.last(into: &message)
            }
            let expected = ReadBody(data: data, trailers: hasTrailers ? ["digest: abc"] : [], length: message.count, isEnded: true)
            #expect(try readBody(message, .chunked).get() == expected)
            #expect(try readBody(message, .chunked, cuts: .random(message.count, &random)).get() == expected)
        }
    }
}

extension Result {
    var isSuccess: Bool { if case .success = self { true } else { false } }
}
