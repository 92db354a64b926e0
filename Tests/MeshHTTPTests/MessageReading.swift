import MeshHTTP
import MeshModel

/// Text as bytes, one byte per character up to U+00FF.
func bytes(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8($0.value) } }

func text(_ bytes: some Sequence<UInt8>) -> String {
    var result = ""
    for byte in bytes { result.unicodeScalars.append(Unicode.Scalar(byte)) }
    return result
}

extension [UInt8] {
    func text(_ range: ByteRange) -> String { withUnsafeBytes { MeshHTTPTests.text($0[range]) } }
}

/// Everything that parsing a request says, in a form that can be compared and printed.
struct ReadRequest: Equatable {
    var length: Int
    var line: String
    var path: String
    var query: String?
    var authority: String?
    var framing: BodyFraming
    var keepsAlive: Bool
    var expectsContinue: Bool
    var upgrade: String?
    var fields: [String]
    var nominated: [String]

    init(_ head: borrowing RequestHead, in bytes: [UInt8]) {
        length = head.length
        line = "\(bytes.text(head.method)) \(bytes.text(head.target)) 1.\(head.minorVersion)"
        path = bytes.text(head.path)
        query = head.query.map { bytes.text($0) }
        authority = head.authority.map { bytes.text($0) }
        framing = head.framing
        keepsAlive = head.keepsAlive
        expectsContinue = head.expectsContinue
        upgrade = head.upgrade.map { bytes.text($0) }
        fields = []
        nominated = []
        for index in head.fields.indices {
            let field = head.fields[index]
            fields.append("\(bytes.text(field.name)): \(bytes.text(field.value)) [\(field.known)]")
            if field.isNominated { nominated.append(bytes.text(field.name)) }
        }
    }
}

/// Everything that parsing a response says.
struct ReadResponse: Equatable {
    var length: Int
    var line: String
    var framing: BodyFraming
    var keepsAlive: Bool
    var upgrade: String?
    var fields: [String]

    init(_ head: borrowing ResponseHead, in bytes: [UInt8]) {
        length = head.length
        line = "1.\(head.minorVersion) \(head.status) \(bytes.text(head.reason))"
        framing = head.framing
        keepsAlive = head.keepsAlive
        upgrade = head.upgrade.map { bytes.text($0) }
        fields = []
        for index in head.fields.indices {
            let field = head.fields[index]
            fields.append("\(bytes.text(field.name)): \(bytes.text(field.value)) [\(field.known)]")
        }
    }
}

/// What became of reading a head: read, refused, or not yet complete.
enum Outcome<Read: Equatable>: Equatable {
    case read(Read)
    case refused(MessageError)
    case incomplete
}

/// Where bytes are cut before they are given to a parser; what was given before is given again.
struct Cuts {
    var ends: [Int]

    static func whole(_ count: Int) -> Cuts { Cuts(ends: [count]) }
    static func at(_ cut: Int, of count: Int) -> Cuts { Cuts(ends: [cut, count]) }
    static func everyByte(_ count: Int) -> Cuts { Cuts(ends: count == 0 ? [] : Array(1...count)) }

    static func random(_ count: Int, _ random: inout RandomSource) -> Cuts {
        var cuts = Cuts(ends: [])
        var end = 0
        let longest = 1 + random.next(below: 64)
        while end < count {
            end = min(count, end + 1 + random.next(below: longest))
            cuts.ends.append(end)
        }
        return cuts
    }
}

func readRequest(_ message: [UInt8], limits: HeadLimits = HeadLimits(), cuts: Cuts? = nil) -> Outcome<ReadRequest> {
    var parser = RequestHeadParser(limits: limits)
    var head = RequestHead()
    for end in (cuts ?? .whole(message.count)).ends {
        do throws(MessageError) {
            let length = try GuardedBytes.with(message[..<end]) { bytes throws(MessageError) in try parser.parse(bytes, into: &head) }
            if length != nil { return .read(ReadRequest(head, in: message)) }
        } catch {
            return .refused(error)
        }
    }
    return .incomplete
}

func readResponse(
    _ message: [UInt8], to request: AnsweredRequest = AnsweredRequest(method: .get), limits: HeadLimits = HeadLimits(), cuts: Cuts? = nil
) -> Outcome<ReadResponse> {
    var parser = ResponseHeadParser(limits: limits)
    var head = ResponseHead()
    for end in (cuts ?? .whole(message.count)).ends {
        do throws(MessageError) {
            let length = try GuardedBytes.with(message[..<end]) { bytes throws(MessageError) in
                try parser.parse(bytes, answering: request, into: &head)
            }
            if length != nil { return .read(ReadResponse(head, in: message)) }
        } catch {
            return .refused(error)
        }
    }
    return .incomplete
}
