/// Finds where a body ends, and its data in between (RFC 9112 6 and 7.1).
///
/// It keeps its place byte by byte: what it has consumed need not be given again. A message uses one of two ways to read:
/// `advance` only follows the framing, so that a host can pass the raw bytes on; `next` hands out the data without the framing.
/// After an error it must not be asked again.
package struct BodyDecoder: Sendable {
    private var state: State
    /// Data bytes left in the body or in the chunk; while a chunk's size is read, that size.
    private var remaining: UInt64 = 0
    /// Data bytes that may still come before the body limit is passed.
    private var allowance: UInt64
    private var lineBytes: UInt32 = 0
    /// Bytes of chunk extensions beyond what the data seen so far paid for.
    private var extensionDebt: UInt64 = 0
    private var trailerScanner = FieldScanner()
    package let trailerLimits: HeadLimits

    /// In one chunk's line, its size included.
    static let longestChunkLine = 1024
    /// Extensions may outweigh data by this much over a whole body; RFC 9112 7.1.1 asks for such a limit.
    static let mostExtensionBytes = 4096

    private enum State: UInt8, Sendable {
        case ended, length, untilClose, tunnel
        case size, sizeDigits, sizeBlanks, extensionText, sizeLineFeed
        case data, dataCarriageReturn, dataLineFeed
        case trailerStart, lastLineFeed, trailers
    }

    /// What comes after the bytes that a call consumed.
    package enum Following: UInt8, Sendable {
        /// More of the body: of the bytes given, where some are left, else of those to come.
        case more
        /// A trailer section, from the first byte not consumed: `readTrailers` reads it.
        case trailers
        /// The body is complete; bytes left over belong to the next message.
        case ended
    }

    package struct Advance: Equatable, Sendable {
        package var consumed: Int
        package var following: Following
    }

    package struct Step: Equatable, Sendable {
        package var consumed: Int
        /// Offsets of the data among the consumed bytes; may be empty.
        package var data: Range<Int>
        package var following: Following
    }

    package init(_ framing: BodyFraming) {
        allowance = .max
        trailerLimits = .trailers
        state = Self.start(framing)
        if case .length(let length) = framing { remaining = length }
    }

    /// With a limit on the data bytes; a length above it is refused at once (413).
    package init(_ framing: BodyFraming, limit: UInt64, trailerLimits: HeadLimits = .trailers) throws(MessageError) {
        allowance = limit
        self.trailerLimits = trailerLimits
        state = Self.start(framing)
        if case .length(let length) = framing {
            guard length <= limit else { throw MessageError(.bodyTooLarge) }
            remaining = length
        }
    }

    private static func start(_ framing: BodyFraming) -> State {
        switch framing {
        case .none, .length(0): .ended
        case .length: .length
        case .chunked: .size
        case .untilClose: .untilClose
        case .tunnel: .tunnel
        }
    }

    package var isEnded: Bool { state == .ended }

    /// Follows the framing over as many of `bytes` as there are of this body.
    package mutating func advance(_ bytes: UnsafeRawBufferPointer) throws(MessageError) -> Advance {
        guard state != .ended else { return Advance(consumed: 0, following: .ended) }
        guard let base = bytes.baseAddress else { return Advance(consumed: 0, following: state == .trailers ? .trailers : .more) }
        let count = bytes.count
        var index = 0
        while index < count {
            if hasData {
                index &+= try takeData(count &- index)
            } else if state == .trailers {
                return Advance(consumed: index, following: .trailers)
            } else {
                index = try readFraming(base, index, count)
            }
            if state == .ended { return Advance(consumed: index, following: .ended) }
        }
        return Advance(consumed: index, following: state == .trailers ? .trailers : .more)
    }

    /// The next run of data; asked again with the bytes behind `consumed`, as long as there are any.
    package mutating func next(_ bytes: UnsafeRawBufferPointer) throws(MessageError) -> Step {
        let count = bytes.count
        var index = 0
        if let base = bytes.baseAddress {
            while index < count, !hasData, state != .ended, state != .trailers {
                index = try readFraming(base, index, count)
            }
        }
        let start = index
        if hasData, index < count { index &+= try takeData(count &- index) }
        let following: Following =
            switch state {
            case .ended: .ended
            case .trailers: .trailers
            default: .more
            }
        return Step(consumed: index, data: start..<index, following: following)
    }

    /// The connection has ended: fine where nothing more was owed, or where its end is the body's end.
    package mutating func connectionEnded() throws(MessageError) {
        switch state {
        case .ended: break
        case .untilClose, .tunnel: state = .ended
        default: throw MessageError(.truncated)
        }
    }

    /// Reads the trailer section once `following` was `.trailers`; how many bytes it has, nil while some are missing.
    ///
    /// Until it is complete, each call is given the same bytes again with more behind them. Fields that would have changed how the
    /// message is read or routed are refused (RFC 9110 6.5.1).
    package mutating func readTrailers(_ bytes: UnsafeRawBufferPointer, into fields: inout FieldList) throws(MessageError) -> Int? {
        precondition(state == .trailers, "no trailer section is due")
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return nil }
        if trailerScanner.line == 0, trailerScanner.scanned == 0 { fields.removeAll() }
        let end = min(bytes.count, trailerLimits.bytes)
        guard let length = try trailerScanner.read(base, end, into: &fields, limit: trailerLimits.fields) else {
            if bytes.count >= trailerLimits.bytes { throw MessageError(.headTooLarge) }
            return nil
        }
        guard fields.present.intersection(HeaderRules.notInTrailers).isEmpty else { throw MessageError(.trailers) }
        state = .ended
        return length
    }

    // MARK: - The machine

    private var hasData: Bool {
        switch state {
        case .length, .data, .untilClose, .tunnel: true
        default: false
        }
    }

    /// How many of `available` bytes are data.
    private mutating func takeData(_ available: Int) throws(MessageError) -> Int {
        var taken = UInt64(available)
        switch state {
        case .length, .data:
            taken = min(taken, remaining)
            remaining &-= taken
            if remaining == 0 { state = state == .data ? .dataCarriageReturn : .ended }
        default: break
        }
        guard taken <= allowance else { throw MessageError(.bodyTooLarge) }
        if allowance != .max { allowance &-= taken }
        extensionDebt = extensionDebt > taken ? extensionDebt &- taken : 0
        return Int(taken)
    }

    /// Reads framing bytes from `index` up to data, trailers, the end of the body or the end of the bytes.
    private mutating func readFraming(_ base: UnsafeRawPointer, _ from: Int, _ count: Int) throws(MessageError) -> Int {
        var index = from
        while index < count {
            let byte = ASCII.byte(base, index)
            switch state {
            case .size:
                guard let digit = Self.hexadecimal(byte) else { throw MessageError(.chunkSize) }
                remaining = UInt64(digit)
                lineBytes = 1
                state = .sizeDigits
            case .sizeDigits:
                if let digit = Self.hexadecimal(byte) {
                    lineBytes &+= 1
                    // Sixteen digits whatever they are, so that leading zeros cannot go on for ever; 63 bits of size.
                    guard lineBytes <= 16, remaining >> 59 == 0 else { throw MessageError(.chunkSize) }
                    remaining = remaining << 4 | UInt64(digit)
                } else {
                    switch byte {
                    case ASCII.carriageReturn: state = .sizeLineFeed
                    case ASCII.semicolon: state = .extensionText
                    case ASCII.space, ASCII.tab: state = .sizeBlanks
                    case ASCII.lineFeed: throw MessageError(.bareLineFeed)
                    default: throw MessageError(.chunkSize)
                    }
                    if byte != ASCII.carriageReturn { try countExtensionByte() }
                }
            case .sizeBlanks:
                // White space may only lead to an extension.
                guard ASCII.isBlank(byte) || byte == ASCII.semicolon else { throw MessageError(.chunkSize) }
                if byte == ASCII.semicolon { state = .extensionText }
                try countExtensionByte()
            case .extensionText:
                if byte == ASCII.carriageReturn {
                    state = .sizeLineFeed
                } else {
                    guard byte >= 0x20 && byte < 0x7f || byte == ASCII.tab else {
                        throw MessageError(byte == ASCII.lineFeed ? .bareLineFeed : .chunkExtension)
                    }
                    try countExtensionByte()
                }
            case .sizeLineFeed:
                guard byte == ASCII.lineFeed else { throw MessageError(.bareCarriageReturn) }
                if remaining == 0 {
                    state = .trailerStart
                } else {
                    guard remaining <= allowance else { throw MessageError(.bodyTooLarge) }
                    state = .data
                    return index &+ 1
                }
            case .dataCarriageReturn:
                guard byte == ASCII.carriageReturn else { throw MessageError(.chunkEnd) }
                state = .dataLineFeed
            case .dataLineFeed:
                guard byte == ASCII.lineFeed else { throw MessageError(.chunkEnd) }
                state = .size
            case .trailerStart:
                guard byte == ASCII.carriageReturn else {
                    state = .trailers
                    return index
                }
                state = .lastLineFeed
            case .lastLineFeed:
                guard byte == ASCII.lineFeed else { throw MessageError(.bareCarriageReturn) }
                state = .ended
                return index &+ 1
            case .ended, .length, .untilClose, .tunnel, .data, .trailers:
                return index
            }
            index &+= 1
        }
        return index
    }

    private mutating func countExtensionByte() throws(MessageError) {
        lineBytes &+= 1
        extensionDebt &+= 1
        guard lineBytes <= UInt32(Self.longestChunkLine), extensionDebt <= UInt64(Self.mostExtensionBytes) else {
            throw MessageError(.chunkExtension)
        }
    }

    @inline(__always)
    private static func hexadecimal(_ byte: UInt8) -> UInt8? {
        if byte &- 0x30 < 10 { return byte &- 0x30 }
        let letter = (byte | 0x20) &- 0x61
        return letter < 6 ? letter &+ 10 : nil
    }
}
