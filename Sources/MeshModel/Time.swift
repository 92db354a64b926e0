/// A point on this host's monotonic clock.
///
/// Deciding code is told the time and never reads it; two instants of different hosts must not be compared.
/// Unit: nanoseconds since an arbitrary origin that is the same for all processes of one host.
@frozen
@usableFromInline
package struct Instant: Hashable, Comparable, Sendable, BitwiseCopyable {
    @usableFromInline package var nanoseconds: Int64

    @inlinable package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    @inlinable package static var zero: Instant { Instant(nanoseconds: 0) }
    @inlinable package static var distantFuture: Instant { Instant(nanoseconds: .max) }

    @inlinable package static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }
    @inlinable package static func + (instant: Instant, span: Timespan) -> Instant {
        let (sum, overflow) = instant.nanoseconds.addingReportingOverflow(span.nanoseconds)
        return overflow ? (span.nanoseconds > 0 ? .distantFuture : Instant(nanoseconds: .min)) : Instant(nanoseconds: sum)
    }
    @inlinable package static func - (later: Instant, earlier: Instant) -> Timespan {
        Timespan(nanoseconds: later.nanoseconds &- earlier.nanoseconds)
    }
}

/// A length of time, in nanoseconds.
///
/// `Swift.Duration` has 128 bits and an attosecond unit; the hot path adds and compares these several times per attempt.
@frozen
@usableFromInline
package struct Timespan: Hashable, Comparable, Sendable, BitwiseCopyable, AdditiveArithmetic {
    @usableFromInline package var nanoseconds: Int64

    @inlinable package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    @inlinable package static var zero: Timespan { Timespan(nanoseconds: 0) }
    @inlinable package static func nanoseconds(_ value: Int64) -> Timespan { Timespan(nanoseconds: value) }
    @inlinable package static func microseconds(_ value: Int64) -> Timespan { Timespan(nanoseconds: value * 1_000) }
    @inlinable package static func milliseconds(_ value: Int64) -> Timespan { Timespan(nanoseconds: value * 1_000_000) }
    // Generic, so that a plain literal is an integer and not ambiguous with the function below.
    @inlinable package static func seconds(_ value: some BinaryInteger) -> Timespan { Timespan(nanoseconds: Int64(value) * 1_000_000_000) }
    @inlinable package static func seconds(_ value: Double) -> Timespan { Timespan(nanoseconds: Int64(value * 1e9)) }

    @inlinable package static func < (left: Timespan, right: Timespan) -> Bool { left.nanoseconds < right.nanoseconds }
    @inlinable package static func + (left: Timespan, right: Timespan) -> Timespan {
        Timespan(nanoseconds: left.nanoseconds + right.nanoseconds)
    }
    @inlinable package static func - (left: Timespan, right: Timespan) -> Timespan {
        Timespan(nanoseconds: left.nanoseconds - right.nanoseconds)
    }
    @inlinable package static func * (span: Timespan, factor: some BinaryInteger) -> Timespan {
        Timespan(nanoseconds: span.nanoseconds * Int64(factor))
    }
    @inlinable package static func * (span: Timespan, factor: Double) -> Timespan {
        Timespan(nanoseconds: Int64(Double(span.nanoseconds) * factor))
    }

    /// Whole milliseconds, rounded down: the unit of `mesh-timeout-ms`.
    @inlinable package var milliseconds: Int64 { nanoseconds / 1_000_000 }
    @inlinable package var seconds: Double { Double(nanoseconds) / 1e9 }
}

/// A point on the wall clock: nanoseconds since 1970-01-01T00:00:00Z, used for display and storage, never for decisions.
@frozen
@usableFromInline
package struct UnixTime: Hashable, Comparable, Sendable, BitwiseCopyable {
    @usableFromInline package var nanoseconds: Int64

    @inlinable package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    @inlinable package static func < (left: UnixTime, right: UnixTime) -> Bool { left.nanoseconds < right.nanoseconds }
}

extension Timespan: Codable {
    @usableFromInline package init(from decoder: any Decoder) throws { nanoseconds = try decoder.singleValueContainer().decode(Int64.self) }
    @usableFromInline package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(nanoseconds)
    }
}

extension UnixTime: Codable {
    @usableFromInline package init(from decoder: any Decoder) throws { nanoseconds = try decoder.singleValueContainer().decode(Int64.self) }
    @usableFromInline package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(nanoseconds)
    }
}
