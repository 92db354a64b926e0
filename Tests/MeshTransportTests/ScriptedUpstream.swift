import Foundation
import Glibc
import MeshModel
import Synchronization

/// A server that does exactly what its script says, one thread for each connection; it listens until it is stopped or the process ends.
final class ScriptedUpstream: Sendable {
    let port: Int
    let path: String?
    private let descriptor: Int32
    private let accepted = Atomic<Int>(0)
    private let isOpen = Guarded(true)

    /// `script` gets each connection and its number, from 0; the connection is closed when it returns.
    init(path: String? = nil, script: @escaping @Sendable (RawSocket, Int) throws -> Void) throws {
        self.path = path
        let descriptor = socket(path == nil ? AF_INET : AF_UNIX, streamSocket, 0)
        self.descriptor = descriptor
        if let path {
            port = 0
            guard withUnixAddress(path, { bind(descriptor, $0, $1) }) == 0 else { throw RawSocket.Failed(description: "bind \(path)") }
        } else {
            port = bindToLoopback(descriptor)
        }
        listen(descriptor, 128)
        Thread.detachNewThread { [self] in
            while true {
                let connection = accept(descriptor, nil, nil)
                if connection < 0, errno == EINTR || errno == ECONNABORTED { continue }
                guard connection >= 0 else { break }
                _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
                let number = accepted.wrappingAdd(1, ordering: .relaxed).oldValue
                let socket = RawSocket(connection)
                Thread.detachNewThread {
                    try? script(socket, number)
                    socket.close()
                }
            }
            // Here and not in `stop`: as long as this thread may ask it, the number must not be given to another socket.
            isOpen.withLock { isOpen in
                isOpen = false
                close(descriptor)
            }
        }
    }

    /// Connections so far.
    var connections: Int { accepted.load(ordering: .relaxed) }

    func stop() {
        // Once it is closed, the number may be another socket's.
        isOpen.withLock { isOpen in if isOpen { shutdown(descriptor, Int32(SHUT_RDWR)) } }
    }

    var address: SocketAddress { path.map { .unix(path: $0) } ?? .tcp(host: "127.0.0.1", port: port) }

    /// A server that answers every request of every connection with 200, its body being the request's.
    static func echo(path: String? = nil) throws -> ScriptedUpstream {
        try ScriptedUpstream(path: path) { socket, _ in
            while true {
                let message = try socket.receiveMessage()
                try socket.send(Array("HTTP/1.1 200 OK\r\ncontent-length: \(message.body.count)\r\n\r\n".utf8) + message.body)
            }
        }
    }

    /// A server that answers with what `answer` makes of each head.
    static func answering(path: String? = nil, _ answer: @escaping @Sendable (String) -> String) throws -> ScriptedUpstream {
        try ScriptedUpstream(path: path) { socket, _ in
            while true {
                let message = try socket.receiveMessage()
                try socket.send(answer(message.head))
            }
        }
    }
}

/// A port that refuses connections: bound, so that nobody else gets it, and not listened on.
final class RefusingPort: Sendable {
    private let descriptor: Int32
    let port: Int

    init() {
        let descriptor = socket(AF_INET, streamSocket, 0)
        self.descriptor = descriptor
        port = bindToLoopback(descriptor)
    }

    deinit { close(descriptor) }

    var address: SocketAddress { .tcp(host: "127.0.0.1", port: port) }
}

/// Binds to a port that the kernel chooses, and says which.
private func bindToLoopback(_ descriptor: Int32) -> Int {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    return withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            _ = bind(descriptor, address, length)
            getsockname(descriptor, address, &length)
        }
        return Int(UInt16(bigEndian: $0.pointee.sin_port))
    }
}
