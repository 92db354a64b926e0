internal import Dispatch
internal import MeshModel
internal import NIOCore

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// Turns the names of `url:` services into addresses, on threads of its own, and remembers them.
///
/// Only connecting asks it; a name whose addresses are older than `lifetime` is looked up again in the background while the old
/// ones go on being used, so that no request waits for a lookup but the first.
final class NameResolver: Sendable {
    private struct Key: Hashable {
        var host: String
        var port: Int
    }

    private struct Name {
        var addresses: [NIOCore.SocketAddress] = []
        var resolved = Instant.zero
        var rotation = 0
        var refreshing = false
    }

    static let lifetime = Timespan.seconds(Int64(30))

    private let names = Guarded<[Key: Name]>([:])
    private let lookup: @Sendable (String, Int) throws -> [NIOCore.SocketAddress]
    private let queue = DispatchQueue(label: "mesh.resolver", attributes: .concurrent)

    convenience init() {
        self.init(lookup: NameResolver.systemLookup)
    }

    init(lookup: @escaping @Sendable (String, Int) throws -> [NIOCore.SocketAddress]) {
        self.lookup = lookup
    }

    /// What is known of a name now; nil when it was never resolved, then `resolve` it first. Successive calls rotate
    /// over the addresses, so that connections are spread round robin.
    func known(host: String, port: Int, now: Instant) -> [NIOCore.SocketAddress]? {
        let (addresses, refresh) = names.withLock { names -> ([NIOCore.SocketAddress]?, Bool) in
            let key = Key(host: host, port: port)
            guard var name = names[key], !name.addresses.isEmpty else { return (nil, false) }
            name.rotation &+= 1
            let refresh = !name.refreshing && now - name.resolved > Self.lifetime
            if refresh { name.refreshing = true }
            names[key] = name
            let start = name.rotation % name.addresses.count
            return (Array(name.addresses[start...] + name.addresses[..<start]), refresh)
        }
        if refresh {
            queue.async { [self] in _ = try? look(up: Key(host: host, port: port), now: now) }
        }
        return addresses
    }

    /// Resolves a name, and says the outcome on `loop` unless that has ended by then.
    func resolve(
        host: String, port: Int, now: Instant, on loop: LoopEntrance,
        _ resolved: @escaping @Sendable (Result<[NIOCore.SocketAddress], any Error>) -> Void
    ) {
        queue.async { [self] in
            let result = Result { try look(up: Key(host: host, port: port), now: now) }
            loop.execute { resolved(result) }
        }
    }

    private func look(up key: Key, now: Instant) throws -> [NIOCore.SocketAddress] {
        do {
            let addresses = try lookup(key.host, key.port)
            names.withLock { names in
                let rotation = names[key]?.rotation ?? 0
                names[key] = Name(addresses: addresses, resolved: now, rotation: rotation, refreshing: false)
            }
            return addresses
        } catch {
            // The old addresses stay in use; the next lookup is tried a lifetime later.
            names.withLock { names in
                names[key]?.refreshing = false
                names[key]?.resolved = now
            }
            throw error
        }
    }

    private static func systemLookup(host: String, port: Int) throws -> [NIOCore.SocketAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        guard code == 0, let first = list else { throw NameResolutionFailed(host: host, code: code) }
        defer { freeaddrinfo(first) }
        var result: [NIOCore.SocketAddress] = []
        var next: UnsafeMutablePointer<addrinfo>? = first
        while let entry = next {
            if let address = entry.pointee.ai_addr {
                if entry.pointee.ai_family == AF_INET {
                    result.append(.init(address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee }, host: host))
                } else if entry.pointee.ai_family == AF_INET6 {
                    result.append(.init(address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { $0.pointee }, host: host))
                }
            }
            next = entry.pointee.ai_next
        }
        guard !result.isEmpty else { throw NameResolutionFailed(host: host, code: EAI_NONAME) }
        return result
    }
}

/// A name has no address, or no server could say.
struct NameResolutionFailed: Error, CustomStringConvertible {
    var host: String
    var code: Int32

    var description: String { "cannot resolve '\(host)': \(String(cString: gai_strerror(code)))" }
}
