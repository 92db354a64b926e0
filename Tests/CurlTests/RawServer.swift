import Dispatch
import Foundation
import Glibc
import MeshModel

/// A server of raw sockets: what it answers is said byte by byte by the test.
///
/// Listens on a TCP port of the kernel's choice or on a Unix socket; each connection is served on a thread of its own.
final class RawServer: Sendable {
    enum Place { case tcp, unix }

    let port: Int
    let path: String
    private let descriptor: Int32
    private let accepted = Guarded(0)
    private let ended = DispatchSemaphore(value: 0)

    var connections: Int { accepted.withLock { $0 } }
    var url: String { "http://127.0.0.1:\(port)" }

    init(_ place: Place = .tcp, serve: @escaping @Sendable (RawConnection) -> Void) throws {
        switch place {
        case .tcp:
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let descriptor = descriptor
            let isBound = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
                }
            }
            guard isBound else { throw POSIXError(.EADDRNOTAVAIL) }
            port = Int(UInt16(bigEndian: address.sin_port))
            path = ""
        case .unix:
            descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            port = 0
            path = NSTemporaryDirectory() + "curl-\(UUID().uuidString.prefix(8)).sock"
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            let descriptor = descriptor
            let isBound = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
                }
            }
            guard isBound else { throw POSIXError(.EADDRNOTAVAIL) }
        }
        guard listen(descriptor, 128) == 0 else { throw POSIXError(.EADDRNOTAVAIL) }
        Thread.detachNewThread { [descriptor, self] in
            while true {
                let client = accept(descriptor, nil, nil)
                guard client >= 0 else { break }
                _ = fcntl(client, F_SETFD, FD_CLOEXEC)
                accepted.withLock { $0 += 1 }
                Thread.detachNewThread {
                    serve(RawConnection(descriptor: client))
                    close(client)
                }
            }
            close(descriptor)
            ended.signal()
        }
    }

    /// Nobody answers on its port any more.
    func stop() {
        shutdown(descriptor, Int32(SHUT_RDWR))
        // Closed by the thread that accepts: here, another test's socket could get the number while it still waits on it.
        ended.wait()
        if !path.isEmpty { unlink(path) }
    }
}

/// One accepted connection, used by the one thread that serves it.
final class RawConnection {
    let descriptor: Int32
    private var pending: [UInt8] = []

    init(descriptor: Int32) { self.descriptor = descriptor }

    /// Reads until the empty line; nil when the client closed.
    func head() -> String? {
        while true {
            if let end = pending.firstRange(of: Array("\r\n\r\n".utf8)) {
                defer { pending.removeFirst(end.upperBound) }
                return String(decoding: pending[..<end.upperBound], as: UTF8.self)
            }
            guard fill() else { return nil }
        }
    }

    func body(_ count: Int) -> [UInt8]? {
        while pending.count < count { guard fill() else { return nil } }
        defer { pending.removeFirst(count) }
        return Array(pending.prefix(count))
    }

    /// Reads until the bytes of `end`, which are included.
    func text(upTo end: String) -> String? {
        while true {
            if let range = pending.firstRange(of: Array(end.utf8)) {
                defer { pending.removeFirst(range.upperBound) }
                return String(decoding: pending[..<range.upperBound], as: UTF8.self)
            }
            guard fill() else { return nil }
        }
    }

    /// Blocks until the client closes.
    func waitForClose() { while fill() { pending = [] } }

    func write(_ text: String) { write(Array(text.utf8)) }

    func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    func answer(_ body: String, status: String = "200 OK", fields: String = "") {
        write("HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)")
    }

    /// Makes the close that follows a reset.
    func resetOnClose() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    private func fill() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { return false }
        pending.append(contentsOf: buffer[..<count])
        return true
    }
}
