package import MeshModel

/// Reads the values of fields that carry numbers and times. A value that is not read is none: the caller says what that means.
package enum FieldValue {
    /// `1*DIGIT`; nil for anything else and for what 64 bits do not hold.
    package static func decimal(_ bytes: UnsafeRawBufferPointer) -> UInt64? {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return nil }
        var result: UInt64 = 0
        for index in 0..<bytes.count {
            let byte = ASCII.byte(base, index)
            guard ASCII.isDigit(byte) else { return nil }
            let (product, overflow) = result.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(byte &- 0x30))
            guard !overflow, !carry else { return nil }
            result = sum
        }
        return result
    }

    /// `mesh-timeout-ms`: what is left of the caller's time, in whole milliseconds; longer than a day is a day.
    package static func meshTimeout(_ bytes: UnsafeRawBufferPointer) -> Timespan? {
        decimal(bytes).map { .milliseconds(Int64(min($0, 86_400_000))) }
    }

    /// `grpc-timeout`: one to eight digits and a unit (gRPC over HTTP/2, "Timeout"); longer than a day is a day.
    package static func grpcTimeout(_ bytes: UnsafeRawBufferPointer) -> Timespan? {
        guard bytes.count >= 2, bytes.count <= 9, let value = decimal(bytes.slice(0, bytes.count &- 1)) else { return nil }
        let unit: UInt64
        switch bytes[bytes.count &- 1] {
        case UInt8(ascii: "H"): unit = 3_600_000_000_000
        case UInt8(ascii: "M"): unit = 60_000_000_000
        case UInt8(ascii: "S"): unit = 1_000_000_000
        case UInt8(ascii: "m"): unit = 1_000_000
        case UInt8(ascii: "u"): unit = 1_000
        case UInt8(ascii: "n"): unit = 1
        default: return nil
        }
        let (span, overflow) = value.multipliedReportingOverflow(by: unit)
        return .nanoseconds(overflow ? longest : Int64(min(span, UInt64(longest))))
    }

    /// Writes a `grpc-timeout`, in the finest unit that eight digits have room for; rounded down.
    package static func appendGRPCTimeout<Sink: ByteSink>(_ span: Timespan, into sink: inout Sink) {
        let nanoseconds = UInt64(max(0, span.nanoseconds))
        let most: UInt64 = 99_999_999
        if nanoseconds / 1_000 <= most {
            sink.append(decimal: nanoseconds / 1_000)
            sink.append("u")
        } else if nanoseconds / 1_000_000 <= most {
            sink.append(decimal: nanoseconds / 1_000_000)
            sink.append("m")
        } else {
            sink.append(decimal: min(most, nanoseconds / 1_000_000_000))
            sink.append("S")
        }
    }

    /// `Retry-After`: seconds, or a date, which needs the wall clock; a date that is past means at once. At most a day.
    package static func retryAfter(_ bytes: UnsafeRawBufferPointer, now: UnixTime) -> Timespan? {
        if let seconds = decimal(bytes) { return .seconds(Int64(min(seconds, 86_400))) }
        guard let date = HTTPDate.parse(bytes) else { return nil }
        let (left, overflow) = date.nanoseconds.subtractingReportingOverflow(now.nanoseconds)
        return .nanoseconds(overflow ? longest : max(0, min(left, longest)))
    }

    /// `grpc-retry-pushback-ms`: when to try again, or, where it is negative or unreadable, that there is to be no other try.
    package static func grpcRetryPushback(_ bytes: UnsafeRawBufferPointer) -> GRPCRetryPushback {
        meshTimeout(bytes).map { .after($0) } ?? .never
    }

    private static let longest: Int64 = 86_400_000_000_000
}

/// What a server says about another try of a gRPC call (gRFC A6).
package enum GRPCRetryPushback: Hashable, Sendable {
    case after(Timespan)
    case never
}
