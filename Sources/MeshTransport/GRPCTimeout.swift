internal import MeshHTTP
internal import MeshModel

/// `grpc-timeout`: at most eight digits and a unit (gRPC over HTTP/2, "Requests").
enum GRPCTimeout {
    /// nil for what is no timeout; a call without one has no deadline of its own.
    static func read(_ value: UnsafeRawBufferPointer) -> Timespan? {
        guard let unit = value.last, (2...9).contains(value.count),
            let number = FieldValue.decimal(UnsafeRawBufferPointer(rebasing: value.dropLast()))
        else { return nil }
        let count = Int64(number)
        // What is longer than a century is without end for us, and would overflow.
        let longest: Int64 = 100 * 366 * 86400
        switch unit {
        case UInt8(ascii: "H"): return .seconds(min(count * 3600, longest))
        case UInt8(ascii: "M"): return .seconds(min(count * 60, longest))
        case UInt8(ascii: "S"): return .seconds(count)
        case UInt8(ascii: "m"): return .milliseconds(count)
        case UInt8(ascii: "u"): return Timespan(nanoseconds: count * 1000)
        case UInt8(ascii: "n"): return Timespan(nanoseconds: count)
        default: return nil
        }
    }

    /// In milliseconds where they fit, rounded down, else in seconds: never more than is left.
    static func write<Sink: ByteSink>(_ span: Timespan, into sink: inout Sink) {
        let milliseconds = UInt64(max(1, span.milliseconds))
        sink.append("grpc-timeout: ")
        if milliseconds < 100_000_000 {
            sink.append(decimal: milliseconds)
            sink.append("m\r\n")
        } else {
            sink.append(decimal: min(milliseconds / 1000, 99_999_999))
            sink.append("S\r\n")
        }
    }
}
