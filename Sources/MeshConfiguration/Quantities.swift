package import MeshModel

/// Durations, sizes, shares and rates as they are written in mesh.yaml; nil for what isn't one.
package enum Quantity {
    /// `250ms`, `2s`, `1.5h`: up to nine digits before a unit of seconds or less, up to six before minutes and hours.
    package static func duration(_ text: String) -> Timespan? {
        guard let (amount, unit) = amountAndUnit(text) else { return nil }
        let digits = text.utf8.prefix { $0 != 0x2e && isDigit($0) }.count
        let nanoseconds: Double
        switch unit {
        case "us": nanoseconds = 1e3
        case "ms": nanoseconds = 1e6
        case "s": nanoseconds = 1e9
        case "m": nanoseconds = 60e9
        case "h": nanoseconds = 3600e9
        default: return nil
        }
        guard digits <= (unit == "m" || unit == "h" ? 6 : 9) else { return nil }
        return Timespan(nanoseconds: Int64((amount * nanoseconds).rounded()))
    }

    /// `512KB` counts in thousands, `64MiB` in 1024s; `B` alone is bytes. The result is at least one byte, or nil.
    package static func size(_ text: String) -> Int? {
        guard let (amount, unit) = amountAndUnit(text) else { return nil }
        let factor: Double
        switch unit {
        case "B": factor = 1
        case "KB": factor = 1e3
        case "MB": factor = 1e6
        case "GB": factor = 1e9
        case "TB": factor = 1e12
        case "KiB": factor = 0x1p10
        case "MiB": factor = 0x1p20
        case "GiB": factor = 0x1p30
        case "TiB": factor = 0x1p40
        default: return nil
        }
        guard text.utf8.prefix(while: isDigit).count <= 6 || unit == "B", amount * factor < 0x1p62 else { return nil }
        return Int(amount * factor)
    }

    /// `20%` as 0.2; a plain number is read by whoever knows that it is one.
    package static func percentage(_ text: String) -> Double? {
        guard let (amount, unit) = amountAndUnit(text), unit == "%", amount <= 100 else { return nil }
        return amount / 100
    }

    /// `200/s`, `30/m`, `5/h`, as events in a second.
    package static func rate(_ text: String) -> Double? {
        guard let (amount, unit) = amountAndUnit(text) else { return nil }
        switch unit {
        case "/s": return amount
        case "/m": return amount / 60
        case "/h": return amount / 3600
        default: return nil
        }
    }

    /// `200/s` as 200 in one second.
    package static func requestsAndWindow(_ text: String) -> (requests: Double, window: Timespan)? {
        guard let (amount, unit) = amountAndUnit(text) else { return nil }
        switch unit {
        case "/s": return (amount, .seconds(1))
        case "/m": return (amount, .seconds(60))
        case "/h": return (amount, .seconds(3600))
        default: return nil
        }
    }

    /// Digits with an optional fraction, and what follows them.
    private static func amountAndUnit(_ text: String) -> (Double, Substring)? {
        let whole = text.utf8.prefix(while: isDigit)
        guard (1...9).contains(whole.count) else { return nil }
        var rest = text.utf8.dropFirst(whole.count)
        if rest.first == 0x2e {
            let fraction = rest.dropFirst().prefix(while: isDigit)
            guard (1...9).contains(fraction.count) else { return nil }
            rest = rest.dropFirst(1 + fraction.count)
        }
        guard let amount = Double(Substring(text.utf8[..<rest.startIndex])) else { return nil }
        return (amount, Substring(rest))
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
}

extension Timespan {
    /// As mesh.yaml writes it, in the largest unit that needs no fraction: `800ms`, `2s`, `5m`.
    package var configurationText: String {
        switch nanoseconds {
        case 0: "0s"
        case _ where nanoseconds % 3_600_000_000_000 == 0: "\(nanoseconds / 3_600_000_000_000)h"
        case _ where nanoseconds % 60_000_000_000 == 0: "\(nanoseconds / 60_000_000_000)m"
        case _ where nanoseconds % 1_000_000_000 == 0: "\(nanoseconds / 1_000_000_000)s"
        case _ where nanoseconds % 1_000_000 == 0: "\(nanoseconds / 1_000_000)ms"
        default: "\(nanoseconds / 1000)us"
        }
    }
}
