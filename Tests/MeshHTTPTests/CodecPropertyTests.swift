import MeshHTTP
import MeshModel
import TestSupport
import Testing

/// What must hold for every message, over seeds. `MESH_FUZZ_SECONDS` lets the loops run that long, each from a seed of its own.
@Suite(.calculating) struct CodecPropertyTests {
    @Test func whatIsWrittenIsRead() throws {
        try forSeeds(600) { generator, seed in
            let (head, framing) = generator.request()
            let message = bytes(head)
            let expected = try #require(ReferenceReader.request(message), "seed \(seed)")
            guard case .read(let read) = readRequest(message + [1, 2, 3]) else {
                Issue.record("seed \(seed): \(readRequest(message))")
                return
            }
            #expect(read.framing == framing && expected.framing == framing, "seed \(seed)")
            #expect(read.line == "\(expected.method) \(expected.target) 1.\(expected.minorVersion)", "seed \(seed)")
            let fields = expected.fields.map { field in "\(field[0]): \(field[1])" }
            // What is behind the text is the kind.
            #expect(read.fields.count == fields.count && zip(read.fields, fields).allSatisfy { $0.hasPrefix($1 + " [") }, "seed \(seed)")
            #expect(read.length == message.count, "seed \(seed)")
        }
    }

    @Test func forwardingKeepsAllThatIsNotDropped() throws {
        try forSeeds(600) { generator, seed in
            let (head, framing) = generator.request()
            guard case .read(let original) = readRequest(bytes(head)) else { return }
            var dropping = HeaderRules.hopByHopKeepingChunks
            if generator.random.next(below: 2) == 0 { dropping = dropping.union(HeaderRules.mesh) }
            let written = try forwardRequest(head, dropping: dropping)
            guard case .read(let forwarded) = readRequest(bytes(written)) else {
                Issue.record("seed \(seed): \(written)")
                return
            }
            #expect(forwarded.framing == framing && forwarded.authority == original.authority, "seed \(seed)")
            #expect(forwarded.path == original.path || original.path.isEmpty, "seed \(seed)")
            #expect(forwarded.query == original.query, "seed \(seed)")
            let isAbsolute = original.line.contains(" http://")
            let dropped = KnownField.allCases.filter { dropping.contains($0) }.map { "[\($0)]" }
            func kept(_ field: String) -> Bool {
                !dropped.contains { field.hasSuffix($0) } && !original.nominated.contains { field.hasPrefix("\($0): ") }
                    && !(isAbsolute && field.hasSuffix("[host]"))
            }
            #expect(forwarded.fields.filter(kept) == original.fields.filter(kept), "seed \(seed)")
            #expect(forwarded.fields.allSatisfy { kept($0) || isAbsolute && $0.hasSuffix("[host]") }, "seed \(seed)")
        }
    }

    @Test func aSpoiledRequestIsReadAsTheStandardReadsIt() {
        forSeeds(6000) { generator, seed in
            let message = generator.spoil(bytes(generator.request().0))
            let whole = readRequest(message)
            let expected = ReferenceReader.request(message)
            if case .read(let read) = whole {
                #expect(expected?.length == read.length && expected?.framing == read.framing, "seed \(seed): \(text(message))")
                #expect(expected?.fields.count == read.fields.count, "seed \(seed): \(text(message))")
            } else {
                #expect(expected == nil, "seed \(seed): \(whole), \(text(message))")
            }
            let cut = readRequest(message, cuts: .random(message.count, &generator.random))
            switch whole {
            case .read, .incomplete: #expect(cut == whole, "seed \(seed): \(text(message))")
            // A line that never ends may be refused later, or for its length.
            case .refused: #expect(!cut.isRead, "seed \(seed): \(text(message))")
            }
        }
    }

    @Test func aSpoiledResponseIsReadAlikeHoweverItIsCut() {
        forSeeds(3000) { generator, seed in
            let message = generator.spoil(bytes(generator.response()))
            let request = AnsweredRequest(
                method: generator.pick([.get, .head, .connect]), offersUpgrade: generator.random.next(below: 2) == 0)
            let whole = readResponse(message, to: request)
            let cut = readResponse(message, to: request, cuts: .random(message.count, &generator.random))
            switch whole {
            case .read, .incomplete: #expect(cut == whole, "seed \(seed): \(text(message))")
            case .refused: #expect(!cut.isRead, "seed \(seed): \(text(message))")
            }
        }
    }

    @Test func aSpoiledBodyIsReadAlikeHoweverItIsCut() {
        forSeeds(3000) { generator, seed in
            let body = generator.chunkedBody()
            #expect((try? readBody(body, .chunked).get())?.isEnded == true, "seed \(seed)")
            let message = generator.spoil(body)
            let whole = readBody(message, .chunked)
            let cut = readBody(message, .chunked, cuts: .random(message.count, &generator.random))
            if case .success = whole { #expect(cut == whole, "seed \(seed): \(text(message))") }
            // Both ways to read agree on where the body ends.
            guard case .success(let read) = whole, read.isEnded, read.trailers.isEmpty else { return }
            guard case .success((let length, .ended)) = followBody(message, .chunked, cuts: .random(message.count, &generator.random))
            else {
                // A trailer section without fields that count is still one.
                return
            }
            #expect(length == read.length, "seed \(seed): \(text(message))")
        }
    }

    @Test func garbageNeitherCrashesNorIsReadBeyondItsEnd() {
        forSeeds(3000) { generator, _ in
            let garbage = (0..<generator.random.next(below: 120)).map { _ in UInt8(truncatingIfNeeded: generator.random.next()) }
            _ = readRequest(garbage, cuts: .random(garbage.count, &generator.random))
            _ = readResponse(garbage)
            _ = readBody(garbage, .chunked)
            var normalizer = PathNormalizer()
            GuardedBytes.with(garbage) { bytes in
                _ = try? normalizer.normalize(path: bytes, query: nil)
                _ = Authority(bytes)
                _ = FieldValue.grpcTimeout(bytes)
                _ = FieldValue.retryAfter(bytes, now: UnixTime(nanoseconds: 0))
            }
        }
    }
}
