/// The fields that the mesh gives a meaning to.
///
/// At most 64 cases, so that a set of them is one word; every name of the mesh's own begins with `mesh-`.
@frozen
@usableFromInline
package enum KnownField: UInt8, Hashable, Sendable, CaseIterable, BitwiseCopyable {
    case other
    case host, contentLength, transferEncoding
    case connection, keepAlive, proxyConnection, te, upgrade
    case trailer, expect, via, date, contentType, retryAfter, proxyStatus
    case forwarded, xForwardedFor, xForwardedProto, xForwardedHost, xRequestID
    case traceparent, tracestate, baggage, idempotencyKey
    case grpcTimeout, grpcStatus, grpcRetryPushback
    case meshTimeout, meshRetry, meshRetryCredit, meshCreditSpent, meshOverload, meshCriticality, meshTrace, meshCaller
    case meshTrouble, meshKeep
    /// Any other field whose name begins with `mesh-` (or `mesh_`, which some applications cannot tell from it).
    case otherMesh

    /// The name in lower case; empty for `other` and `otherMesh`.
    package var name: StaticString {
        switch self {
        case .other, .otherMesh: ""
        case .host: "host"
        case .contentLength: "content-length"
        case .transferEncoding: "transfer-encoding"
        case .connection: "connection"
        case .keepAlive: "keep-alive"
        case .proxyConnection: "proxy-connection"
        case .te: "te"
        case .upgrade: "upgrade"
        case .trailer: "trailer"
        case .expect: "expect"
        case .via: "via"
        case .date: "date"
        case .contentType: "content-type"
        case .retryAfter: "retry-after"
        case .proxyStatus: "proxy-status"
        case .forwarded: "forwarded"
        case .xForwardedFor: "x-forwarded-for"
        case .xForwardedProto: "x-forwarded-proto"
        case .xForwardedHost: "x-forwarded-host"
        case .xRequestID: "x-request-id"
        case .traceparent: "traceparent"
        case .tracestate: "tracestate"
        case .baggage: "baggage"
        case .idempotencyKey: "idempotency-key"
        case .grpcTimeout: "grpc-timeout"
        case .grpcStatus: "grpc-status"
        case .grpcRetryPushback: "grpc-retry-pushback-ms"
        case .meshTimeout: "mesh-timeout-ms"
        case .meshRetry: "mesh-retry"
        case .meshRetryCredit: "mesh-retry-credit"
        case .meshCreditSpent: "mesh-credit-spent"
        case .meshOverload: "mesh-overload"
        case .meshCriticality: "mesh-criticality"
        case .meshTrace: "mesh-trace"
        case .meshCaller: "mesh-caller"
        case .meshTrouble: "mesh-trouble"
        case .meshKeep: "mesh-keep"
        }
    }
}

/// A set of known fields.
@frozen
@usableFromInline
package struct FieldSet: Hashable, Sendable, BitwiseCopyable, ExpressibleByArrayLiteral {
    @usableFromInline package var bits: UInt64

    @inlinable package init(bits: UInt64 = 0) { self.bits = bits }
    @inlinable package init(_ field: KnownField) { bits = 1 &<< UInt64(field.rawValue) }
    @inlinable package init(arrayLiteral elements: KnownField...) {
        self.init()
        for element in elements { insert(element) }
    }

    @inlinable package func contains(_ field: KnownField) -> Bool { bits &>> UInt64(field.rawValue) & 1 != 0 }
    @inlinable package func union(_ other: FieldSet) -> FieldSet { FieldSet(bits: bits | other.bits) }
    @inlinable package func intersection(_ other: FieldSet) -> FieldSet { FieldSet(bits: bits & other.bits) }
    @inlinable package func subtracting(_ other: FieldSet) -> FieldSet { FieldSet(bits: bits & ~other.bits) }
    @inlinable package mutating func insert(_ field: KnownField) { bits |= 1 &<< UInt64(field.rawValue) }
    @inlinable package mutating func remove(_ field: KnownField) { bits &= ~(1 &<< UInt64(field.rawValue)) }
    @inlinable package var isEmpty: Bool { bits == 0 }
}

extension KnownField {
    /// The field that a name means; it holds letters and hyphens only, in any case.
    ///
    /// Most names are nobody's: their length and first four letters tell.
    @inline(__always)
    static func recognize(_ base: UnsafeRawPointer, _ start: Int, _ count: Int) -> KnownField {
        guard count >= 4 else { return identify(base, start, count) }
        let head = UInt32(littleEndian: base.loadUnaligned(fromByteOffset: start, as: UInt32.self)) | 0x2020_2020
        let isCandidate: Bool
        switch count {
        case 4:
            if head == ASCII.half("host") { return .host }
            return head == ASCII.half("date") ? .date : .other
        case 6: isCandidate = head == ASCII.half("expe")
        case 7: isCandidate = head == ASCII.half("trai") || head == ASCII.half("upgr") || head == ASCII.half("bagg")
        case 9: isCandidate = head == ASCII.half("forw")
        case 10: isCandidate = head == ASCII.half("conn") || head == ASCII.half("keep") || head == ASCII.half("trac")
        case 11: isCandidate = head == ASCII.half("trac") || head == ASCII.half("retr") || head == ASCII.half("grpc")
        case 12:
            isCandidate =
                head == ASCII.half("cont") || head == ASCII.half("x-re") || head == ASCII.half("grpc") || head == ASCII.half("prox")
        case 14: isCandidate = head == ASCII.half("cont")
        case 15: isCandidate = head == ASCII.half("x-fo") || head == ASCII.half("idem")
        case 16: isCandidate = head == ASCII.half("prox") || head == ASCII.half("x-fo")
        case 17: isCandidate = head == ASCII.half("tran") || head == ASCII.half("x-fo")
        case 22: isCandidate = head == ASCII.half("grpc")
        default: isCandidate = false
        }
        return isCandidate || head == ASCII.half("mesh") ? identify(base, start, count) : .other
    }

    /// The same, told by the length and all letters.
    ///
    /// Setting 0x20 in every byte lowers letters and leaves hyphens; it would blur other bytes, which is why they may not be here.
    @inline(never)
    private static func identify(_ base: UnsafeRawPointer, _ start: Int, _ count: Int) -> KnownField {
        let spaces: UInt64 = 0x2020_2020_2020_2020
        guard count >= 8 else {
            guard count >= 2 else { return .other }
            var word: UInt64 = 0
            if start &+ count >= 8 {
                word = (ASCII.word(base, start &+ count &- 8) | spaces) &>> UInt64(64 &- count &* 8)
            } else {
                for index in 0..<count { word |= UInt64(ASCII.byte(base, start &+ index) | 0x20) &<< UInt64(index &* 8) }
            }
            switch count {
            case 2: return word == ASCII.word("te") ? .te : .other
            case 3: return word == ASCII.word("via") ? .via : .other
            case 6:
                if word == ASCII.word("expect") { return .expect }
            case 7:
                if word == ASCII.word("trailer") { return .trailer }
                if word == ASCII.word("upgrade") { return .upgrade }
                if word == ASCII.word("baggage") { return .baggage }
            default: break
            }
            return word & 0xff_ffff_ffff == ASCII.word("mesh-") ? .otherMesh : .other
        }
        let first = ASCII.word(base, start) | spaces
        let last = ASCII.word(base, start &+ count &- 8) | spaces
        switch count {
        case 9:
            if first == ASCII.word("forwarde"), last == ASCII.word("orwarded") { return .forwarded }
            if first == ASCII.word("mesh-kee"), last == ASCII.word("esh-keep") { return .meshKeep }
        case 10:
            if first == ASCII.word("connecti"), last == ASCII.word("nnection") { return .connection }
            if first == ASCII.word("keep-ali"), last == ASCII.word("ep-alive") { return .keepAlive }
            if first == ASCII.word("tracesta"), last == ASCII.word("acestate") { return .tracestate }
            if first == ASCII.word("mesh-ret"), last == ASCII.word("sh-retry") { return .meshRetry }
            if first == ASCII.word("mesh-tra"), last == ASCII.word("sh-trace") { return .meshTrace }
        case 11:
            if first == ASCII.word("tracepar"), last == ASCII.word("ceparent") { return .traceparent }
            if first == ASCII.word("retry-af"), last == ASCII.word("ry-after") { return .retryAfter }
            if first == ASCII.word("grpc-sta"), last == ASCII.word("c-status") { return .grpcStatus }
            if first == ASCII.word("mesh-cal"), last == ASCII.word("h-caller") { return .meshCaller }
        case 12:
            if first == ASCII.word("content-"), last == ASCII.word("ent-type") { return .contentType }
            if first == ASCII.word("x-reques"), last == ASCII.word("quest-id") { return .xRequestID }
            if first == ASCII.word("grpc-tim"), last == ASCII.word("-timeout") { return .grpcTimeout }
            if first == ASCII.word("proxy-st"), last == ASCII.word("y-status") { return .proxyStatus }
            if first == ASCII.word("mesh-tro"), last == ASCII.word("-trouble") { return .meshTrouble }
        case 13:
            if first == ASCII.word("mesh-ove"), last == ASCII.word("overload") { return .meshOverload }
        case 14:
            if first == ASCII.word("content-"), last == ASCII.word("t-length") { return .contentLength }
        case 15:
            if first == ASCII.word("x-forwar"), last == ASCII.word("rded-for") { return .xForwardedFor }
            if first == ASCII.word("idempote"), last == ASCII.word("ency-key") { return .idempotencyKey }
            if first == ASCII.word("mesh-tim"), last == ASCII.word("meout-ms") { return .meshTimeout }
        case 16:
            if first == ASCII.word("proxy-co"), last == ASCII.word("nnection") { return .proxyConnection }
            if first == ASCII.word("x-forwar"), last == ASCII.word("ded-host") { return .xForwardedHost }
            if first == ASCII.word("mesh-cri"), last == ASCII.word("ticality") { return .meshCriticality }
        case 17:
            let middle = ASCII.byte(base, start &+ 8) | 0x20
            if first == ASCII.word("transfer"), last == ASCII.word("encoding"), middle == 0x2d { return .transferEncoding }
            if first == ASCII.word("x-forwar"), last == ASCII.word("ed-proto"), middle == 0x64 { return .xForwardedProto }
            if first == ASCII.word("mesh-ret"), last == ASCII.word("y-credit"), middle == 0x72 { return .meshRetryCredit }
            if first == ASCII.word("mesh-cre"), last == ASCII.word("it-spent"), middle == 0x64 { return .meshCreditSpent }
        case 22:
            if first == ASCII.word("grpc-ret"), last == ASCII.word("hback-ms"),
                ASCII.word(base, start &+ 8) | spaces == ASCII.word("ry-pushb")
            {
                return .grpcRetryPushback
            }
        default: break
        }
        return first & 0xff_ffff_ffff == ASCII.word("mesh-") ? .otherMesh : .other
    }

    /// The same for a name with digits or other token characters, none of which a known name has.
    static func recognizeUncommon(_ name: UnsafeRawBufferPointer) -> KnownField {
        guard name.count >= 5, name.slice(0, 4).equalsIgnoringCase("mesh") else { return .other }
        return name[4] == 0x2d || name[4] == 0x5f ? .otherMesh : .other
    }
}
