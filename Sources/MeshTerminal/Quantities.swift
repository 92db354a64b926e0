package import MeshAdminAPI

/// Numbers with a unit, short enough for a column.
package enum Quantities {
    /// `0.4ms`, `9.2ms`, `362ms`, `1.4s`, `12s`, `3m 05s`, `2h 07m`.
    package static func duration(milliseconds: Double) -> String {
        switch milliseconds {
        case ..<0.05: "0ms"
        case ..<9.95: decimal(milliseconds, 1) + "ms"
        case ..<999.5: decimal(milliseconds, 0) + "ms"
        case ..<9_950: decimal(milliseconds / 1_000, 1) + "s"
        case ..<119_500: decimal(milliseconds / 1_000, 0) + "s"
        case ..<7_170_000: pair(Int((milliseconds / 1_000).rounded()), 60, "m", "s")
        default: pair(Int((milliseconds / 60_000).rounded()), 60, "h", "m")
        }
    }

    /// Always with one decimal: `0.6s`, the unit in which steps of `mesh up` are told.
    package static func seconds(_ seconds: Double) -> String { decimal(seconds, 1) + "s" }

    /// `812`, `38M`, `1.5G`: powers of 1024.
    package static func bytes(_ count: Int) -> String {
        var value = Double(count)
        for unit in ["", "K", "M", "G", "T"] {
            if value < 9.95, !unit.isEmpty, unit != "K", unit != "M" { return decimal(value, 1) + unit }
            if value < 1_000 || unit == "T" { return decimal(value, 0) + unit }
            value /= 1_024
        }
        return decimal(value, 0) + "T"
    }

    package static func percent(_ share: Double) -> String {
        let percent = share * 100
        return percent > 0 && percent < 0.95 ? "<1%" : decimal(percent, 0) + "%"
    }

    /// `12:04:09`, or with the day (`11-20 12:04`) for another one than that of `now`.
    ///
    /// - Parameter offset: seconds east of UTC of the one who reads.
    package static func clock(_ time: Timestamp, now: Timestamp, offset: Int64) -> String {
        let civil = CivilTime(time, offset: offset)
        let today = CivilTime(now, offset: offset)
        if (civil.year, civil.month, civil.day) == (today.year, today.month, today.day) {
            return [civil.hour, civil.minute, civil.second].map { padded($0, 2) }.joined(separator: ":")
        }
        return "\(padded(civil.month, 2))-\(padded(civil.day, 2)) \(padded(civil.hour, 2)):\(padded(civil.minute, 2))"
    }

    /// With milliseconds, as log lines carry it: `12:04:09.120`.
    package static func preciseClock(_ time: Timestamp, offset: Int64) -> String {
        let civil = CivilTime(time, offset: offset)
        let clock = [civil.hour, civil.minute, civil.second].map { padded($0, 2) }.joined(separator: ":")
        return clock + "." + padded(civil.nanosecond / 1_000_000, 3)
    }

    /// `18,204`
    package static func grouped(_ count: Int) -> String {
        let digits = String(abs(count))
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return count < 0 ? "-" + text : text
    }

    package static func count(_ count: Int, _ noun: String, plural: String? = nil) -> String {
        "\(count) \(count == 1 ? noun : plural ?? noun + "s")"
    }

    package static func decimal(_ value: Double, _ places: Int) -> String {
        let factor = (0..<places).reduce(1.0) { factor, _ in factor * 10 }
        guard value.isFinite, abs(value) * factor < 9e15 else { return "-" }
        let scaled = Int64((abs(value) * factor).rounded())
        let sign = value < 0 && scaled != 0 ? "-" : ""
        guard places > 0 else { return sign + String(scaled) }
        return sign + "\(scaled / Int64(factor))." + padded(scaled % Int64(factor), places)
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    private static func pair(_ value: Int, _ base: Int, _ large: String, _ small: String) -> String {
        "\(value / base)\(large) \(padded(Int64(value % base), 2))\(small)"
    }
}
