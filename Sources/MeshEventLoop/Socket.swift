internal import NIOCore

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// System calls on stream sockets.
enum Socket {
    /// A socket of the address's family, non-blocking.
    ///
    /// - Throws: `IOError`.
    static func make(for address: SocketAddress) throws -> CInt {
        #if canImport(Glibc)
            let kind = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        #else
            let kind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC
        #endif
        let descriptor = socket(CInt(address.protocol.rawValue), kind, 0)
        guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "socket") }
        return descriptor
    }

    /// - Throws: `IOError`.
    static func bind(_ descriptor: CInt, to address: SocketAddress) throws {
        // The unspecified address of IPv6 takes IPv4 as well, whatever the system's setting is.
        if address.protocol == .inet6 { setOption(descriptor, CInt(IPPROTO_IPV6), IPV6_V6ONLY, 0) }
        let code = address.withSockAddr { address, length in
            #if canImport(Glibc)
                Glibc.bind(descriptor, address, socklen_t(length)) == 0 ? 0 : errno
            #else
                Musl.bind(descriptor, address, socklen_t(length)) == 0 ? 0 : errno
            #endif
        }
        guard code == 0 else { throw IOError(errnoCode: code, reason: "bind") }
    }

    /// Makes a bound socket one that listens, that does not block, and whose connections send small pieces at once.
    ///
    /// - Throws: `IOError`, also for a descriptor that is no stream socket.
    static func listen(_ descriptor: CInt, backlog: CInt) throws {
        let flags = fcntl(descriptor, F_GETFL)
        guard flags >= 0, fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0 else { throw IOError(errnoCode: errno, reason: "fcntl") }
        setNoDelay(descriptor)
        #if canImport(Glibc)
            let isListening = Glibc.listen(descriptor, backlog) == 0
        #else
            let isListening = Musl.listen(descriptor, backlog) == 0
        #endif
        guard isListening else { throw IOError(errnoCode: errno, reason: "listen") }
    }

    /// Removes what an earlier listener has left at `path`; nothing else than a socket.
    ///
    /// - Throws: `IOError`.
    static func removeFile(_ path: String) throws {
        var file = stat()
        guard lstat(path, &file) == 0 else { return }
        guard file.st_mode & S_IFMT == S_IFSOCK else { throw IOError(errnoCode: EADDRINUSE, reason: "not a socket") }
        guard unlink(path) == 0 || errno == ENOENT else { throw IOError(errnoCode: errno, reason: "unlink") }
    }

    static func close(_ descriptor: CInt) {
        #if canImport(Glibc)
            _ = Glibc.close(descriptor)
        #else
            _ = Musl.close(descriptor)
        #endif
    }

    @inline(__always)
    static func send(_ descriptor: CInt, _ bytes: UnsafeRawBufferPointer) -> Int {
        #if canImport(Glibc)
            Glibc.send(descriptor, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL))
        #else
            Musl.send(descriptor, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL))
        #endif
    }

    /// Sends small pieces at once; of no effect on Unix sockets.
    static func setNoDelay(_ descriptor: CInt) { setOption(descriptor, CInt(IPPROTO_TCP), CInt(TCP_NODELAY), 1) }

    @discardableResult
    static func setOption(_ descriptor: CInt, _ level: CInt, _ name: CInt, _ value: CInt) -> Bool {
        var value = value
        return setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<CInt>.size)) == 0
    }

    /// The error that the socket has met since it was asked last; 0 for none.
    static func takeError(_ descriptor: CInt) -> CInt {
        var code: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        return getsockopt(descriptor, SOL_SOCKET, CInt(SO_ERROR), &code, &length) == 0 ? code : errno
    }

    /// nil where the kernel has none, as of a connection that has ended.
    static func localAddress(_ descriptor: CInt) -> SocketAddress? { address { getsockname(descriptor, $0, $1) } }
    static func peerAddress(_ descriptor: CInt) -> SocketAddress? { address { getpeername(descriptor, $0, $1) } }

    private static func address(
        _ ask: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> CInt
    ) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let isKnown = withUnsafeMutablePointer(to: &storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { ask($0, &length) == 0 }
        }
        guard isKnown, let name = SocketName(storage) else { return nil }
        guard name.isUnix else { return name.address }
        return withUnsafeBytes(of: storage) { SocketAddress($0.load(as: sockaddr_un.self)) }
    }
}
