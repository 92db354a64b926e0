#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// How many descriptors this process may have open.
package enum DescriptorLimit {
    /// For all that is neither a client's connection nor one to an instance: listeners, logs, event loops, the daemon's socket.
    static let reserve = 32

    /// Raises the limit to the highest that the system allows without asking anybody: the lower one that processes start with is for
    /// programs that use `select`.
    package static func raise() {
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(resource, &limit)
    }

    /// What clients may take of it: three quarters, since a call needs a connection on the other side, and idle clients need none.
    static var forClients: Int {
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return .max }
        return max(1, (Int(min(limit.rlim_cur, 1 << 30)) - reserve) / 4 * 3)
    }

    #if canImport(Glibc)
        private static let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
        private static let resource = RLIMIT_NOFILE
    #endif
}
