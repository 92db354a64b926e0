internal import CMeshSystem
internal import Glibc
package import MeshModel

/// A socket that listens before its service runs, so that an address in use is known before anything is started.
package final class ListeningSocket: Sendable {
    package let descriptor: Int32
    /// As bound: a port 0 has become the kernel's choice, a host name an address.
    package let address: SocketAddress

    private init(descriptor: Int32, address: SocketAddress) {
        self.descriptor = descriptor
        self.address = address
    }

    /// A descriptor of a socket that listens already; nil, and closed, if it is none.
    package convenience init?(taking descriptor: Int32) {
        var buffer = [CChar](repeating: 0, count: 256)
        guard mesh_listener_address(descriptor, &buffer, buffer.count) == 0,
            let address = Self.read(buffer.withUnsafeBufferPointer { String(cString: $0.baseAddress!) })
        else {
            close(descriptor)
            return nil
        }
        self.init(descriptor: descriptor, address: address)
    }

    deinit { close(descriptor) }

    package static func bind(_ address: SocketAddress, backlog: Int32 = 1024) throws(ListenError) -> ListeningSocket {
        let numeric = try numeric(address)
        let previousMask = umask(0o077)
        defer { umask(previousMask) }
        var descriptor = mesh_listen(text(numeric), backlog)
        if descriptor < 0, errno == EADDRINUSE, case .unix(let path) = numeric, isStale(path) {
            unlink(path)
            descriptor = mesh_listen(text(numeric), backlog)
        }
        guard descriptor >= 0 else { throw ListenError(address: address, code: errno) }
        var buffer = [CChar](repeating: 0, count: 256)
        guard mesh_listener_address(descriptor, &buffer, buffer.count) == 0,
            let bound = read(buffer.withUnsafeBufferPointer { String(cString: $0.baseAddress!) })
        else {
            let code = errno
            close(descriptor)
            throw ListenError(address: address, code: code)
        }
        return ListeningSocket(descriptor: descriptor, address: bound)
    }

    /// Nobody answers there: the file was left behind.
    private static func isStale(_ path: String) -> Bool {
        let connection = mesh_connect("unix:\(path)")
        if connection >= 0 { close(connection) }
        return connection < 0 && errno == ECONNREFUSED
    }

    /// The form that CMeshSystem reads: `unix:PATH`, `tcp:127.0.0.1:8080`, `tcp:[::1]:8080`.
    package static func text(_ address: SocketAddress) -> String {
        switch address {
        case .unix(let path): "unix:\(path)"
        case .tcp(let host, let port): host.contains(":") ? "tcp:[\(host)]:\(port)" : "tcp:\(host):\(port)"
        }
    }

    static func read(_ text: String) -> SocketAddress? {
        if text.hasPrefix("unix:") { return .unix(path: String(text.dropFirst(5))) }
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]) else { return nil }
        return .tcp(host: String(text[..<colon].dropFirst(4)).filter { $0 != "[" && $0 != "]" }, port: port)
    }

    private static func numeric(_ address: SocketAddress) throws(ListenError) -> SocketAddress {
        guard case .tcp(let host, let port) = address else { return address }
        if host.isEmpty || host == "*" { return .tcp(host: "0.0.0.0", port: port) }
        if host == "localhost" { return .tcp(host: "127.0.0.1", port: port) }
        if host.contains(":") || host.utf8.allSatisfy({ $0 == 0x2e || ($0 >= 0x30 && $0 <= 0x39) }) { return address }
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, nil, &found) == 0, let found else { throw ListenError(address: address, code: EADDRNOTAVAIL) }
        defer { freeaddrinfo(found) }
        var buffer = [CChar](repeating: 0, count: 64)
        getnameinfo(found.pointee.ai_addr, found.pointee.ai_addrlen, &buffer, socklen_t(buffer.count), nil, 0, NI_NUMERICHOST)
        return .tcp(host: buffer.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }, port: port)
    }
}

/// Why an address can't be listened on, and what to do.
package struct ListenError: Error, Hashable, Sendable, CustomStringConvertible {
    package var address: SocketAddress
    package var code: Int32
    /// Who has it, as far as this user may know: `nginx (pid 12)`.
    package var holder: String?

    package init(address: SocketAddress, code: Int32) {
        self.address = address
        self.code = code
        if code == EADDRINUSE, case .tcp(_, let port) = address { holder = PortHolder.find(port) }
    }

    package var isInUse: Bool { code == EADDRINUSE }

    package var description: String {
        switch (address, code) {
        case (.tcp(_, let port), EADDRINUSE):
            "port \(port) is in use\(holder.map { " by \($0)" } ?? ""): stop that program, or listen on another port"
        case (.tcp(_, let port), EACCES):
            "port \(port) may not be listened on by this user: choose a port from 1024 on"
        case (.tcp(let host, _), EADDRNOTAVAIL):
            "\(host) is no address of this machine: listen on 127.0.0.1 or 0.0.0.0"
        case (.unix(let path), EADDRINUSE):
            "the socket \(path) is in use by a running program: stop it, or use another state folder (MESH_STATE_DIR)"
        case (.unix(let path), ENAMETOOLONG):
            "the socket path \(path) has more than 107 bytes: set XDG_RUNTIME_DIR to a shorter folder"
        default:
            "cannot listen on \(address): \(SystemError.reason(code))"
        }
    }
}
