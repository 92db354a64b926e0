internal import CMeshSystem
internal import NIOCore

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// The name of one end of a connection as the kernel gives it; made an address, or a text, only for who asks.
enum SocketName {
    case ipv4(sockaddr_in)
    case ipv6(sockaddr_in6)
    /// Its path is asked for where it matters.
    case unix

    /// nil for another family.
    init?(_ storage: sockaddr_storage) {
        let name: SocketName? = withUnsafeBytes(of: storage) { bytes in
            switch CInt(storage.ss_family) {
            case AF_INET: .ipv4(bytes.load(as: sockaddr_in.self))
            case AF_INET6: .ipv6(bytes.load(as: sockaddr_in6.self))
            case AF_UNIX: .unix
            default: nil
            }
        }
        guard let name else { return nil }
        self = name
    }

    var isUnix: Bool {
        if case .unix = self { true } else { false }
    }

    /// nil for a Unix socket.
    var address: SocketAddress? {
        switch self {
        case .ipv4(let name): SocketAddress(name)
        case .ipv6(let name): SocketAddress(name)
        case .unix: nil
        }
    }

    /// The address without its port, as text; nil for a Unix socket.
    var host: String? {
        switch self {
        case .ipv4(let name): Self.text(of: name)
        case .ipv6(let name): Self.text(of: name)
        case .unix: nil
        }
    }

    private static func text<Name>(of name: Name) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 46) { text in
            let isKnown = withUnsafePointer(to: name) { mesh_host_text($0, text.baseAddress!) }
            return isKnown ? String(cString: text.baseAddress!) : nil
        }
    }
}
