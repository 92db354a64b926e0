import Foundation
import MeshHTTP
import MeshModel
import TestSupport
import Testing

/// The same messages, valid and spoiled, read here and by NIOHTTP1.
///
/// Two readers that disagree about where a message ends are what request smuggling is made of. Whatever is accepted here, NIOHTTP1
/// reads as the same message; what only one of the two accepts is named below, rule by rule.
@Suite(.calculating) struct DifferentialTests {
    /// Refused here and accepted there.
    static let stricter: [MessageError.Reason: String] = [
        .missingHost: "RFC 9112 3.2 demands 400; llhttp does not look at Host",
        .repeatedHost: "the same",
        .invalidHost: "the same",
        .requestLine: "one space between the parts of a request line (RFC 9112 3)",
        .targetForm: "the form of a target fits its method (RFC 9112 3.2)",
        .target: "RFC 3986 has no such byte: a fragment, or what is beyond ASCII",
        .connectionOptions: "Connection may not name what rules the message (RFC 9110 7.6.1)",
        .expectation: "417 for what is not known (RFC 9110 10.1.1)",
        .version: "an empty line is overlooked before a request only, and only one",
        .bareLineFeed: "a line feed alone ends no line, not even an empty one before a request",
        .bareCarriageReturn: "the same for a carriage return",
        .statusCode: "a status is within 100 to 599 (RFC 9110 15)",
        .fieldValue: "no control byte in a reason phrase or a value (RFC 9110 5.5)",
        .transferEncoding: "no coding but a final chunked (RFC 9112 6.1), in answers too",
        .unknownTransferCoding: "the same",
        .transferEncodingInVersion10: "RFC 9112 6.1: its framing is faulty",
        .bodyNotAllowed: "1xx and 204 announce no body (RFC 9110 8.6, RFC 9112 6.1)",
        .unaskedUpgrade: "101 answers an Upgrade only (RFC 9110 15.2.2)",
        .trailers: "no trailer field that would have ruled the message (RFC 9110 6.5.1)",
    ]

    /// Accepted here and refused there.
    enum Looser: String, CaseIterable {
        case method = "any token is a method (RFC 9110 9.1); llhttp knows a list"
        case blankBeforeExtension = "white space may stand before a chunk extension (RFC 9112 7.1.1)"
        case extensionText = "the text of an unknown chunk extension is passed over (RFC 9112 7.1.1); llhttp demands tokens"

        func applies(to message: [UInt8], _ other: OtherReader) -> Bool {
            switch self {
            case .method: other.refusal == "invalid HTTP method"
            case .blankBeforeExtension: other.refusal == "invalid character in chunk size header" && text(message).contains(" ;")
            case .extensionText: other.refusal == "strict mode assertion" || other.refusal == "invalid character in chunk extensions"
            }
        }
    }

    @Test func requestsAreReadAlike() {
        forSeeds(400) { generator, seed in
            let (head, framing) = generator.request()
            var message = bytes(head)
            switch framing {
            case .length(let length): message += [UInt8](repeating: UInt8(ascii: "x"), count: Int(length))
            case .chunked: message += generator.chunkedBody()
            default: break
            }
            if generator.random.next(below: 3) > 0 { message = generator.spoil(message) }
            compareRequest(message, seed)
        }
    }

    @Test func responsesAreReadAlike() {
        forSeeds(400) { generator, seed in
            var message = bytes(generator.response())
            if generator.random.next(below: 2) == 0 {
                message += generator.chunkedBody()
            } else {
                message += [UInt8](repeating: 120, count: 2000)
            }
            if generator.random.next(below: 3) > 0 { message = generator.spoil(message) }
            compareResponse(message, isHead: generator.random.next(below: 5) == 0, seed)
        }
    }

    private func compareRequest(_ message: [UInt8], _ seed: UInt64) {
        let other = OtherReader.request(message)
        switch readRequest(message) {
        case .incomplete: #expect(!other.isEnded, "seed \(seed): only there \(text(message))")
        case .refused(let error): expectRefusal(error, other, message, seed)
        case .read(let read):
            let body = readBody(Array(message[read.length...]), read.framing)
            if case .failure(let error) = body { return expectRefusal(error, other, message, seed) }
            guard case .success(let body) = body, body.isEnded else {
                #expect(!other.isEnded, "seed \(seed): only there \(text(message))")
                return
            }
            guard other.isEnded else { return expectLooser(other, message, seed) }
            compare(read.line, read.fields, body, other, message, seed)
        }
    }

    private func compareResponse(_ message: [UInt8], isHead: Bool, _ seed: UInt64) {
        let answered = AnsweredRequest(method: isHead ? .head : .get)
        switch readResponse(message, to: answered) {
        case .incomplete: break
        case .refused(let error):
            expectRefusal(error, .response(message, isHead: isHead, endsThere: false), message, seed)
        case .read(let read):
            let other = OtherReader.response(message, isHead: isHead, endsThere: read.framing == .untilClose)
            let body = readBody(Array(message[read.length...]), read.framing)
            if case .failure(let error) = body { return expectRefusal(error, other, message, seed) }
            guard case .success(let body) = body, body.isEnded || read.framing == .untilClose else {
                #expect(!other.isEnded, "seed \(seed): only there \(text(message))")
                return
            }
            guard other.isEnded || read.line.hasPrefix("1.1 1") || read.line.hasPrefix("1.0 1") else {
                return expectLooser(other, message, seed)
            }
            compare(String(read.line.prefix(7)), read.fields, body, other, message, seed)
        }
    }

    private func compare(
        _ line: String, _ fields: [String], _ body: ReadBody, _ other: OtherReader, _ message: [UInt8], _ seed: UInt64
    ) {
        #expect(isAlike(line, other.line), "seed \(seed): \(line) against \(other.line)")
        let names = fields.map { field in String(field[..<field.range(of: " [", options: .backwards)!.lowerBound]) }
        #expect(names.count == other.fields.count && zip(names, other.fields).allSatisfy(isAlike), "seed \(seed): \(names) \(other.fields)")
        #expect(bytes(body.data) == other.data, "seed \(seed): \(body.data.count) \(other.data.count) \(text(message))")
        #expect(body.trailers.count == other.trailers.count, "seed \(seed): \(body.trailers) \(other.trailers)")
    }

    /// Bytes beyond ASCII are text there, which may have lost what they were.
    private func isAlike(_ ours: String, _ theirs: String) -> Bool {
        // White space behind a value is no part of it (RFC 9112 5.1); there it is kept.
        var theirs = theirs
        while theirs.last == " " || theirs.last == "\t", ours.utf8.count < theirs.utf8.count { theirs.removeLast() }
        return ours == theirs || ours.unicodeScalars.contains { $0.value > 126 }
    }

    private func expectRefusal(_ error: MessageError, _ other: OtherReader, _ message: [UInt8], _ seed: UInt64) {
        guard other.isEnded else { return }
        #expect(
            Self.stricter[error.reason] != nil,
            "seed \(seed): \(error.reason) refused only here: \(text(message).debugDescription.prefix(400))")
    }

    private func expectLooser(_ other: OtherReader, _ message: [UInt8], _ seed: UInt64) {
        let isKnown = Looser.allCases.contains { $0.applies(to: message, other) }
        #expect(isKnown, "seed \(seed): refused only there: \(other.refusal ?? "") \(text(message).debugDescription.prefix(400))")
    }
}
