import CodecChecks
import Foundation
import TestSupport
import Testing

/// The fuzzers' corpus: what they begin with, and every input that ever broke something.
@Suite(.calculating) struct CorpusTests {
    static func inputs(_ target: String) throws -> [URL] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fuzzers/corpus/\(target)")
        return try FileManager.default.contentsOfDirectory(at: folder.standardizedFileURL, includingPropertiesForKeys: nil)
    }

    @Test func nothingIsWrongWithRequests() throws {
        let inputs = try Self.inputs("request")
        #expect(inputs.count > 10)
        for input in inputs { #expect(CodecChecks.requests(Array(try Data(contentsOf: input))) == nil, "\(input.lastPathComponent)") }
    }

    @Test func nothingIsWrongWithResponses() throws {
        let inputs = try Self.inputs("response")
        #expect(inputs.count > 10)
        for input in inputs { #expect(CodecChecks.responses(Array(try Data(contentsOf: input))) == nil, "\(input.lastPathComponent)") }
    }
}
