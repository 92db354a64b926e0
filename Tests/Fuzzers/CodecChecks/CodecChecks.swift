import MeshHTTP

/// What must hold for any bytes at all; the fuzzers look for bytes for which it does not.
///
/// The first byte of an input says how the rest is cut and, for responses, what they answer.
package enum CodecChecks {
    /// What does not hold; nil where all does.
    package static func requests(_ input: [UInt8]) -> String? {
        guard let first = input.first else { return nil }
        let bytes = Array(input.dropFirst())
        return check(bytes, .requests, pieces: first) ?? rewritten(bytes) ?? normalized(bytes)
    }

    package static func responses(_ input: [UInt8]) -> String? {
        guard let first = input.first else { return nil }
        let methods: [HTTPMethodKind] = [.get, .head, .post, .connect]
        let answered = AnsweredRequest(method: methods[Int(first & 3)], offersUpgrade: first & 4 != 0)
        let bytes = Array(input.dropFirst())
        return check(bytes, .responses(to: answered), pieces: first >> 3) ?? rewritten(bytes, answered)
    }

    /// A stream is read alike however it comes in, and by both ways of reading bodies.
    private static func check(_ bytes: [UInt8], _ kind: MessageStream.Kind, pieces: UInt8) -> String? {
        let whole = MessageStream(bytes, kind, cuts: [bytes.count], takesData: true)
        var cuts: [Int] = []
        let size = 1 + Int(pieces)
        var cut = size
        while cut < bytes.count {
            cuts.append(cut)
            cut += size
        }
        let inPieces = MessageStream(bytes, kind, cuts: cuts + [bytes.count], takesData: true)
        let raw = MessageStream(bytes, kind, cuts: cuts + [bytes.count], takesData: false)
        if let difference = whole.difference(from: inPieces) { return "in pieces of \(size): \(difference)" }
        if let difference = whole.difference(from: raw, comparesData: false) { return "as raw bytes in pieces of \(size): \(difference)" }
        return nil
    }

    /// A head that was read and is written again is one head, with the same framing and nothing behind it.
    private static func rewritten(_ bytes: [UInt8]) -> String? {
        var parser = RequestHeadParser()
        var head = RequestHead()
        let length = try? Copy.of(bytes[...]) { piece throws(MessageError) in try parser.parse(piece, into: &head) }
        guard length != nil else { return nil }
        for dropping in [
            FieldSet(), HeaderRules.hopByHopKeepingChunks, HeaderRules.hopByHopKeepingChunks.union(HeaderRules.strippedAtEdge),
        ] {
            var written: [UInt8] = []
            Copy.of(bytes[...]) { piece in head.write(piece, dropping: dropping, into: &written) }
            // An old request without a host gets its service's.
            if head.authority == nil { HeadWriter.field("host", "a", into: &written) }
            HeadWriter.end(into: &written)
            var again = RequestHead()
            var other = RequestHeadParser(limits: HeadLimits(bytes: 1 << 20, fields: 1000, target: 64 << 10))
            let read = try? written.withUnsafeBytes { piece throws(MessageError) in try other.parse(piece, into: &again) }
            guard let count = read else { return "what is written is not read again" }
            if count != written.count { return "what is written is more than one head" }
            if again.framing != head.framing { return "what is written is framed otherwise" }
        }
        return nil
    }

    private static func rewritten(_ bytes: [UInt8], _ answered: AnsweredRequest) -> String? {
        var parser = ResponseHeadParser()
        var head = ResponseHead()
        let length = try? Copy.of(bytes[...]) { piece throws(MessageError) in try parser.parse(piece, answering: answered, into: &head) }
        guard length != nil, head.framing != .tunnel else { return nil }
        var written: [UInt8] = []
        Copy.of(bytes[...]) { piece in head.write(piece, dropping: HeaderRules.hopByHopKeepingChunks, into: &written) }
        HeadWriter.end(into: &written)
        var again = ResponseHead()
        var other = ResponseHeadParser(limits: HeadLimits(bytes: 1 << 20, fields: 1000))
        let read = try? written.withUnsafeBytes { piece throws(MessageError) in try other.parse(piece, answering: answered, into: &again) }
        guard let count = read else { return "what is written is not read again" }
        if count != written.count { return "what is written is more than one head" }
        return again.framing == head.framing ? nil : "what is written is framed otherwise"
    }

    /// A path in its normal form is its own normal form, and stays below its root.
    private static func normalized(_ bytes: [UInt8]) -> String? {
        var parser = RequestHeadParser()
        var head = RequestHead()
        let length = try? Copy.of(bytes[...]) { piece throws(MessageError) in try parser.parse(piece, into: &head) }
        guard length != nil, head.form == .origin else { return nil }
        var normalizer = PathNormalizer()
        let path = Copy.of(bytes[...]) { piece -> [UInt8]? in
            guard let normal = try? normalizer.normalize(path: piece[head.path], query: nil) else { return nil }
            return Array(normal.path)
        }
        guard let path else { return nil }
        guard path.first == UInt8(ascii: "/") else { return "a normal path has no root" }
        let again = Copy.of(path[...]) { piece -> [UInt8]? in (try? normalizer.normalize(path: piece, query: nil)).map { Array($0.path) } }
        return again == path ? nil : "a normal path is not its own normal form"
    }
}

extension MessageStream {
    /// How another reading of the same bytes differs; nil where it agrees.
    ///
    /// A stream that is refused may be refused earlier or later, but no message more is complete because of it.
    func difference(from other: MessageStream, comparesData: Bool = true) -> String? {
        func complete(_ messages: [Message]) -> [Message] {
            messages.filter { $0.end != nil }.map { message in
                var message = message
                if !comparesData { message.data = [] }
                return message
            }
        }
        if complete(messages) != complete(other.messages) { return "\(complete(messages)) against \(complete(other.messages))" }
        if ending == .refused || other.ending == .refused {
            return ending == .incomplete || other.ending == .incomplete || ending == other.ending
                ? nil : "\(ending) against \(other.ending)"
        }
        if ending != other.ending { return "\(ending) against \(other.ending)" }
        if messages.count != other.messages.count { return "\(messages.count) heads against \(other.messages.count)" }
        if comparesData, messages != other.messages { return "\(messages) against \(other.messages)" }
        return nil
    }
}
