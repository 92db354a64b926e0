internal import Glibc
package import MeshModel

/// Where supervision's hosts read the time; deciding code is told it.
package enum SystemClock {
    package static func now() -> Instant { Instant(nanoseconds: read(CLOCK_MONOTONIC)) }
    package static func unixTime() -> UnixTime { UnixTime(nanoseconds: read(CLOCK_REALTIME)) }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    package static func sleep(until instant: Instant) async throws {
        let left = instant - now()
        if left > .zero { try await Task.sleep(nanoseconds: UInt64(left.nanoseconds)) }
    }
}
