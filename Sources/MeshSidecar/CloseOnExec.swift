import Glibc

/// Keeps a descriptor out of the programs that this process starts.
enum CloseOnExec {
    static func set(_ descriptor: Int32) {
        let flags = fcntl(descriptor, F_GETFD)
        if flags >= 0 { _ = fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC) }
    }
}
