internal import HTTPTypes
internal import MeshHTTP
internal import MeshModel
internal import MeshTelemetry
internal import NIOCore

// Between heads on the wire and the types that user code sees.

extension HTTPFields {
    init(_ list: borrowing FieldList, _ bytes: UnsafeRawBufferPointer, dropping: FieldSet) {
        self.init()
        reserveCapacity(list.count)
        for index in list.indices where list[index].isKept(dropping) { append(list[index], bytes) }
    }

    init(_ fields: [Field], _ bytes: UnsafeRawBufferPointer) {
        self.init()
        reserveCapacity(fields.count)
        for field in fields { append(field, bytes) }
    }

    private mutating func append(_ field: Field, _ bytes: UnsafeRawBufferPointer) {
        guard let name = HTTPField.Name(String(decoding: bytes[field.name], as: UTF8.self)) else { return }
        append(HTTPField(name: name, value: String(decoding: bytes[field.value], as: UTF8.self)))
    }
}

extension Field {
    /// Not of the connection, nor of those that are left out.
    func isKept(_ dropped: FieldSet) -> Bool { !isNominated && !dropped.contains(known) }
}

extension FieldList {
    /// All fields of a kind as one list (RFC 9110 5.3); nil without one.
    borrowing func joined(_ known: KnownField, _ bytes: UnsafeRawBufferPointer) -> String? {
        guard present.contains(known) else { return nil }
        var values: [String] = []
        for index in indices where self[index].known == known { values.append(String(decoding: bytes[self[index].value], as: UTF8.self)) }
        return values.joined(separator: ",")
    }
}

extension HTTPField.Name {
    // A valid token.
    fileprivate static let meshCreditSpent = HTTPField.Name("mesh-credit-spent")!
}

extension ByteBuffer {
    /// The digits of a number that is not negative.
    mutating func writeDecimal(_ value: Int) {
        writeWithUnsafeMutableBytes(minimumWritableBytes: 20) { free in
            var digits = RegionSink(free)
            digits.append(decimal: UInt64(value))
            return digits.count
        }
    }

    /// Writes field lines; `HTTPField` has replaced what could end a line.
    mutating func writeFields(_ fields: HTTPFields) {
        for field in fields {
            writeString(field.name.rawName)
            writeStaticString(": ")
            writeString(field.value)
            writeStaticString("\r\n")
        }
    }

    /// Writes the head of a handler's answer; framing and connection fields are ours to say.
    mutating func writeHead(
        status: Int, fields: HTTPFields, length: Int?, chunked: Bool, keepsAlive: Bool, clientVersion: UInt8,
        trouble: TraceTrouble, creditSpent: Int?, date: inout DateField
    ) {
        writeStaticString("HTTP/1.1 ")
        writeDecimal(status)
        writeStaticString(" ")
        writeString(ReasonPhrase.of(status))
        writeStaticString("\r\n")
        var hasDate = false
        for field in fields {
            switch field.name {
            case .connection, .contentLength, .transferEncoding, .upgrade: continue
            case .meshCreditSpent where creditSpent != nil: continue
            case .date: hasDate = true
            default: break
            }
            writeString(field.name.rawName)
            writeStaticString(": ")
            writeString(field.value)
            writeStaticString("\r\n")
        }
        if !hasDate { date.write(to: &self) }
        writeStaticString(trouble.line)
        if let creditSpent {
            writeStaticString("mesh-credit-spent: ")
            writeDecimal(creditSpent)
            writeStaticString("\r\n")
        }
        if chunked {
            writeStaticString("transfer-encoding: chunked\r\n")
        } else if let length {
            writeStaticString("content-length: ")
            writeDecimal(length)
            writeStaticString("\r\n")
        }
        if !keepsAlive {
            writeStaticString("connection: close\r\n")
        } else if clientVersion == 0 {
            writeStaticString("connection: keep-alive\r\n")
        }
        writeStaticString("\r\n")
    }
}

/// The `Date` field (RFC 9110 6.6.1), put into words once a second.
struct DateField {
    private var second: Int64 = -1
    private var line: [UInt8] = []

    mutating func write(to buffer: inout ByteBuffer) {
        let now = HostClock.wall().nanoseconds / 1_000_000_000
        if now != second {
            second = now
            line = Array("date: \(Self.text(now))\r\n".utf8)
        }
        buffer.writeBytes(line)
    }

    /// IMF-fixdate. The calendar: Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
    static func text(_ seconds: Int64) -> String {
        let days = seconds / 86400
        let time = seconds % 86400
        let z = days + 719468
        let era = z / 146097
        let dayOfEra = z - era * 146097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shifted + 2) / 5 + 1
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(weekdays[Int(days % 7)]), \(two(day)) \(months[Int(month - 1)]) \(year) "
            + "\(two(time / 3600)):\(two(time / 60 % 60)):\(two(time % 60)) GMT"
    }
}
