import Glibc
package import MeshModel

/// The clocks of this host; read by hosts of deciding code, never by it.
package enum HostClock {
    /// CLOCK_MONOTONIC: the same for all processes of one host, and the one that SwiftNIO's `NIODeadline` reads.
    package static func now() -> Instant { Instant(nanoseconds: read(CLOCK_MONOTONIC)) }

    package static func wall() -> UnixTime { UnixTime(nanoseconds: read(CLOCK_REALTIME)) }

    /// Names the monotonic clock that this process reads: a fingerprint of the kernel's boot and of the time namespace. Two
    /// processes with the same name have clocks that need no comparison; never 0.
    package static let identity: UInt64 = {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func add(_ bytes: ArraySlice<UInt8>) { for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 } }
        var buffer = [UInt8](repeating: 0, count: 256)
        let file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
        if file >= 0 {
            add(buffer.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) } > 0 ? buffer[..<36] : [])
            close(file)
        }
        let length = buffer.withUnsafeMutableBytes {
            readlink("/proc/self/ns/time", $0.assumingMemoryBound(to: CChar.self).baseAddress!, $0.count)
        }
        add(length > 0 ? buffer[..<length] : [])
        return max(1, hash)
    }()

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

/// One reading of both clocks, by which a process's instants become wall time.
///
/// Durations never go through it: a wall clock may be set while a request runs.
package struct TimeAnchor: Hashable, Sendable {
    package var instant: Instant
    package var wall: UnixTime

    package init(instant: Instant, wall: UnixTime) {
        self.instant = instant
        self.wall = wall
    }

    package static func capture() -> TimeAnchor { TimeAnchor(instant: HostClock.now(), wall: HostClock.wall()) }

    package func wall(at instant: Instant) -> UnixTime {
        UnixTime(nanoseconds: wall.nanoseconds &+ (instant.nanoseconds &- self.instant.nanoseconds))
    }

    package func instant(at wall: UnixTime) -> Instant {
        Instant(nanoseconds: instant.nanoseconds &+ (wall.nanoseconds &- self.wall.nanoseconds))
    }
}
