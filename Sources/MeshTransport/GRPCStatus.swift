internal import MeshExchange
internal import MeshHTTP

/// The status codes of gRPC that the mesh itself gives, and how a call is told to be one.
enum GRPCStatus: Int {
    case unknown = 2
    case deadlineExceeded = 4
    case permissionDenied = 7
    case resourceExhausted = 8
    case unimplemented = 12
    case `internal` = 13
    case unavailable = 14
    case unauthenticated = 16

    /// The table of gRPC's "HTTP to gRPC Status Code Mapping", and 504 by what it means here.
    init(httpStatus: Int) {
        self =
            switch httpStatus {
            case 400: .internal
            case 401: .unauthenticated
            case 403: .permissionDenied
            case 404: .unimplemented
            case 413, 431: .resourceExhausted
            case 429, 502, 503: .unavailable
            case 408, 504: .deadlineExceeded
            default: .unknown
            }
    }

    /// `grpc-status` among field lines.
    static func code(inTrailers bytes: UnsafeRawBufferPointer) -> Int? {
        var lines = FieldLines(bytes)
        while let line = lines.next() {
            guard line.name.equalsIgnoringCase("grpc-status") else { continue }
            return FieldValue.decimal(line.value).map { Int(min($0, 1000)) }
        }
        return nil
    }

    /// Whether `content-type` is gRPC's: `application/grpc`, alone or with a format or parameters behind it.
    static func isContentType(_ value: UnsafeRawBufferPointer) -> Bool {
        let prefix: StaticString = "application/grpc"
        guard value.count >= prefix.utf8CodeUnitCount else { return false }
        let rest = value[prefix.utf8CodeUnitCount...].first
        return UnsafeRawBufferPointer(rebasing: value[..<prefix.utf8CodeUnitCount]).equalsIgnoringCase(prefix)
            && (rest == nil || rest == UInt8(ascii: "+") || rest == UInt8(ascii: ";"))
    }

    /// `grpc-message`: UTF-8, of which only visible ASCII and the space stand for themselves.
    static func percentEncoded(_ message: String) -> String {
        let digits = Array("0123456789ABCDEF")
        var result = ""
        for byte in message.utf8 {
            if byte >= 0x20, byte < 0x7f, byte != UInt8(ascii: "%") {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                result.append("%")
                result.append(digits[Int(byte >> 4)])
                result.append(digits[Int(byte & 15)])
            }
        }
        return result
    }
}
