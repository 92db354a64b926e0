import MeshHTTP

/// What one connection carries, read as a host reads it: heads, bodies and trailers, one message behind the other.
struct MessageStream {
    enum Kind {
        case requests
        case responses(to: AnsweredRequest)
    }

    /// One message as far as it was read.
    struct Message: Equatable {
        var start: Int
        var headLength: Int
        var framing: BodyFraming
        var fields: [Field]
        var data: [UInt8] = []
        var trailers = 0
        /// Behind its last byte; nil while bytes are missing.
        var end: Int?
    }

    enum Ending: Equatable {
        case incomplete
        case refused
        /// Bytes behind this one are no HTTP.
        case tunnel(from: Int)
    }

    private(set) var messages: [Message] = []
    private(set) var ending = Ending.incomplete

    /// Reads `bytes` as they come in pieces that end at `cuts`, the last of which is their count.
    ///
    /// - Parameter takesData: by `next`; else by `advance`, as raw bytes are passed on.
    init(_ bytes: [UInt8], _ kind: Kind, cuts: [Int], takesData: Bool) {
        do throws(MessageError) {
            try read(bytes, kind, cuts: cuts, takesData: takesData)
        } catch {
            ending = .refused
        }
    }

    private mutating func read(_ bytes: [UInt8], _ kind: Kind, cuts: [Int], takesData: Bool) throws(MessageError) {
        var requestParser = RequestHeadParser()
        var responseParser = ResponseHeadParser()
        var request = RequestHead()
        var response = ResponseHead()
        var trailers = FieldList()
        var decoder = BodyDecoder(.none)
        var isInBody = false
        var at = 0
        for cut in cuts {
            while at < cut {
                if !isInBody {
                    let start = at
                    let length: Int?
                    switch kind {
                    case .requests:
                        length = try Copy.of(bytes[at..<cut]) { piece throws(MessageError) in try requestParser.parse(piece, into: &request)
                        }
                    case .responses(let answered):
                        length = try Copy.of(bytes[at..<cut]) { piece throws(MessageError) in
                            try responseParser.parse(piece, answering: answered, into: &response)
                        }
                    }
                    guard let length else { break }
                    at += length
                    let framing: BodyFraming
                    switch kind {
                    case .requests:
                        framing = request.framing
                        messages.append(Message(start, length, framing, request.fields))
                    case .responses:
                        framing = response.framing
                        messages.append(Message(start, length, framing, response.fields))
                    }
                    if framing == .tunnel {
                        ending = .tunnel(from: at)
                        return
                    }
                    decoder = BodyDecoder(framing)
                    isInBody = !decoder.isEnded
                    if !isInBody { messages[messages.count - 1].end = at }
                    continue
                }
                let last = messages.count - 1
                let following: BodyDecoder.Following
                if takesData {
                    let step = try Copy.of(bytes[at..<cut]) { piece throws(MessageError) in try decoder.next(piece) }
                    messages[last].data += bytes[at + step.data.lowerBound..<at + step.data.upperBound]
                    at += step.consumed
                    following = step.following
                } else {
                    let step = try Copy.of(bytes[at..<cut]) { piece throws(MessageError) in try decoder.advance(piece) }
                    at += step.consumed
                    following = step.following
                }
                if following == .trailers {
                    let length = try Copy.of(bytes[at..<cut]) { piece throws(MessageError) in
                        try decoder.readTrailers(piece, into: &trailers)
                    }
                    guard let length else { break }
                    at += length
                    messages[last].trailers = trailers.count
                }
                if decoder.isEnded {
                    isInBody = false
                    messages[last].end = at
                }
            }
        }
    }
}

extension MessageStream.Message {
    init(_ start: Int, _ length: Int, _ framing: BodyFraming, _ fields: borrowing FieldList) {
        self.start = start
        headLength = length
        self.framing = framing
        self.fields = []
        for index in fields.indices { self.fields.append(fields[index]) }
    }
}

/// Memory of exactly the size of what lies in it, so that the address sanitizer sees a read beyond its end.
enum Copy {
    static func of<Result, Failure: Error>(
        _ bytes: ArraySlice<UInt8>, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { copy.deallocate() }
        copy.copyBytes(from: bytes)
        return try body(UnsafeRawBufferPointer(copy))
    }
}
