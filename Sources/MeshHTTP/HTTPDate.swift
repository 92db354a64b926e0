package import MeshModel

/// Reads and writes dates as HTTP does (RFC 9110 5.6.7), in the proleptic Gregorian calendar and UTC.
package enum HTTPDate {
    /// Reads any of the three forms; nil for anything else and for days that do not exist. The day's name is not compared with the date.
    package static func parse(_ bytes: UnsafeRawBufferPointer) -> UnixTime? {
        var reader = Reader(bytes: bytes)
        guard let comma = bytes.firstIndex(of: ASCII.comma) else { return reader.asctime() }
        return comma == 3 ? reader.fixdate() : reader.rfc850()
    }

    /// The length of the preferred form.
    package static let length = 29

    /// Appends `Sun, 06 Nov 1994 08:49:37 GMT`; years from 0 to 9999.
    package static func append<Sink: ByteSink>(_ time: UnixTime, into sink: inout Sink) {
        let seconds = floorDivide(time.nanoseconds, 1_000_000_000)
        let days = floorDivide(seconds, 86_400)
        let second = Int(seconds &- days &* 86_400)
        let (year, month, day) = civil(days)
        sink.append(atMost: length) { bytes in
            let weekday = Int((days % 7 &+ 11) % 7) * 3
            var index = 0
            func put(_ text: StaticString, _ from: Int, _ count: Int) {
                for offset in 0..<count { bytes[index &+ offset] = text.utf8Start[from &+ offset] }
                index &+= count
            }
            func put(_ value: Int, digits: Int) {
                var rest = value
                for offset in stride(from: digits - 1, through: 0, by: -1) {
                    bytes[index &+ offset] = 0x30 &+ UInt8(rest % 10)
                    rest /= 10
                }
                index &+= digits
            }
            put(weekdays, weekday, 3)
            put(", ", 0, 2)
            put(day, digits: 2)
            put(" ", 0, 1)
            put(months, (month - 1) * 3, 3)
            put(" ", 0, 1)
            put(max(0, min(9999, year)), digits: 4)
            put(" ", 0, 1)
            put(second / 3600, digits: 2)
            put(":", 0, 1)
            put(second / 60 % 60, digits: 2)
            put(":", 0, 1)
            put(second % 60, digits: 2)
            put(" GMT", 0, 4)
            return index
        }
    }

    private static let weekdays: StaticString = "SunMonTueWedThuFriSat"
    fileprivate static let months: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"

    /// Days since 1970-01-01. Source: Howard Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`.
    fileprivate static func days(_ year: Int, _ month: Int, _ day: Int) -> Int64 {
        let shifted = Int64(month <= 2 ? year - 1 : year)
        let era = floorDivide(shifted, 400)
        let yearOfEra = shifted - era * 400
        let dayOfYear = Int64((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1)
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// The inverse, `civil_from_days` of the same source.
    fileprivate static func civil(_ days: Int64) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = Int(shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9)
        let year = Int(yearOfEra + era * 400) + (month <= 2 ? 1 : 0)
        return (year, month, Int(dayOfYear - (153 * shiftedMonth + 2) / 5 + 1))
    }

    private static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
        let quotient = value / divisor
        return value % divisor < 0 ? quotient - 1 : quotient
    }
}

/// Takes a date apart from front to back.
private struct Reader {
    let bytes: UnsafeRawBufferPointer
    var index = 0

    init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`
    mutating func fixdate() -> UnixTime? {
        index = 3
        guard skip(", "), let day = number(2), skip(" "), let month = month(), skip(" "), let year = number(4), skip(" ") else {
            return nil
        }
        return finish(year, month, day, zone: true)
    }

    /// `Sunday, 06-Nov-94 08:49:37 GMT`; two digits mean 1970 to 2069, as POSIX reads them.
    mutating func rfc850() -> UnixTime? {
        while index < bytes.count, bytes[index] != ASCII.comma { index += 1 }
        guard skip(", "), let day = number(2), skip("-"), let month = month(), skip("-"), let year = number(2), skip(" ") else {
            return nil
        }
        return finish(year < 70 ? 2000 + year : 1900 + year, month, day, zone: true)
    }

    /// `Sun Nov  6 08:49:37 1994`
    mutating func asctime() -> UnixTime? {
        index = 3
        guard skip(" "), let month = month(), skip(" ") else { return nil }
        guard let day = skip(" ") ? number(1) : number(2), skip(" ") else { return nil }
        let start = index
        index += 9
        guard let year = number(4), index == bytes.count else { return nil }
        index = start
        return finish(year, month, day, zone: false)
    }

    private mutating func finish(_ year: Int, _ month: Int, _ day: Int, zone: Bool) -> UnixTime? {
        guard let hour = number(2), skip(":"), let minute = number(2), skip(":"), let second = number(2), skip(zone ? " GMT" : " "),
            !zone || index == bytes.count
        else { return nil }
        // A leap second is the first of the next minute, since Unix time has none.
        guard hour < 24, minute < 60, second <= 60, day >= 1, year >= 1583 else { return nil }
        let days = HTTPDate.days(year, month, day)
        guard HTTPDate.civil(days) == (year, month, day) else { return nil }
        let seconds = days * 86_400 + Int64(hour * 3600 + minute * 60 + second)
        let (nanoseconds, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return UnixTime(nanoseconds: overflow ? .max : nanoseconds)
    }

    private mutating func skip(_ text: StaticString) -> Bool {
        let end = index + text.utf8CodeUnitCount
        guard end <= bytes.count, bytes.slice(index, end).equals(text) else { return false }
        index = end
        return true
    }

    private mutating func number(_ digits: Int) -> Int? {
        guard index + digits <= bytes.count, let value = FieldValue.decimal(bytes.slice(index, index + digits)) else { return nil }
        index += digits
        return Int(value)
    }

    private mutating func month() -> Int? {
        guard index + 3 <= bytes.count else { return nil }
        for month in 0..<12 where (0..<3).allSatisfy({ bytes[index + $0] == HTTPDate.months.utf8Start[month * 3 + $0] }) {
            index += 3
            return month + 1
        }
        return nil
    }
}
