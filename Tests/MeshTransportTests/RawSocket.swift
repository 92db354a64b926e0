import Foundation
import Glibc
import MeshModel

/// How long a test waits for what comes at once, before it says that it did not: far longer than a machine takes that runs much else
/// besides, since it is waited out only where something is broken.
enum Patience {
    static let seconds = 90
    /// Of calls whose deadline is no part of the test: it comes first, so that the answer tells where a request was lost.
    static let call = Timespan.seconds(60)
}

/// A blocking socket for scripts: every operation has a bound, after which it fails.
final class RawSocket: @unchecked Sendable {
    let descriptor: Int32
    private var buffered: [UInt8] = []
    private var isClosed = false

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        setTimeout(Patience.seconds)
    }

    deinit { close() }

    func setTimeout(_ seconds: Int) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    struct Failed: Error, CustomStringConvertible {
        var description: String
    }

    /// Connects to a port of this host.
    static func connect(port: Int) throws -> RawSocket {
        let descriptor = socket(AF_INET, streamSocket, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            Glibc.close(descriptor)
            throw Failed(description: "connect: \(String(cString: strerror(errno)))")
        }
        return RawSocket(descriptor)
    }

    static func connect(path: String) throws -> RawSocket {
        let descriptor = socket(AF_UNIX, streamSocket, 0)
        let result = withUnixAddress(path) { Glibc.connect(descriptor, $0, $1) }
        guard result == 0 else {
            Glibc.close(descriptor)
            throw Failed(description: "connect: \(String(cString: strerror(errno)))")
        }
        return RawSocket(descriptor)
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { throw Failed(description: "send: \(String(cString: strerror(errno)))") }
            sent += count
        }
    }

    /// What came, at least one byte; empty at the end of the stream.
    func receive() throws -> [UInt8] {
        if !buffered.isEmpty {
            defer { buffered = [] }
            return buffered
        }
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
        guard count >= 0 else { throw Failed(description: "receive: \(String(cString: strerror(errno)))") }
        return Array(bytes[..<count])
    }

    /// Everything up to and with `marker`.
    func receive(until marker: String) throws -> String {
        let marker = Array(marker.utf8)
        var collected: [UInt8] = []
        while true {
            if let range = collected.firstRange(of: marker) {
                buffered = Array(collected[range.upperBound...])
                return String(decoding: collected[..<range.upperBound], as: UTF8.self)
            }
            let more = try receive()
            guard !more.isEmpty else {
                throw Failed(description: "the stream ended before \(marker): \(String(decoding: collected, as: UTF8.self))")
            }
            collected += more
        }
    }

    func receive(count: Int) throws -> [UInt8] {
        var collected: [UInt8] = []
        while collected.count < count {
            let more = try receive()
            guard !more.isEmpty else { throw Failed(description: "the stream ended after \(collected.count) of \(count) bytes") }
            collected += more
        }
        buffered = Array(collected[count...])
        return Array(collected[..<count])
    }

    /// Everything until the peer ends its side; nil when it resets the connection.
    func receiveToEnd() -> [UInt8]? {
        var collected: [UInt8] = []
        while true {
            guard let more = try? receive() else { return errno == ECONNRESET ? nil : collected }
            if more.isEmpty { return collected }
            collected += more
        }
    }

    /// Whether the peer has ended or reset the connection, waiting for it.
    func sawEnd() -> Bool {
        while true {
            do {
                if try receive().isEmpty { return true }
            } catch {
                return errno == ECONNRESET
            }
        }
    }

    /// One whole message: its head, and the body that Content-Length announces or chunks make up.
    func receiveMessage(isHead: Bool = false) throws -> (head: String, body: [UInt8]) {
        let head = try receive(until: "\r\n\r\n")
        if isHead { return (head, []) }
        for line in head.split(separator: "\r\n") {
            let lower = line.lowercased()
            if lower.hasPrefix("content-length:") {
                let length = Int(lower.dropFirst("content-length:".count).trimmingCharacters(in: .whitespaces))!
                return (head, try receive(count: length))
            }
            if lower.hasPrefix("transfer-encoding:") { return (head, try receiveChunks()) }
        }
        return (head, [])
    }

    private func receiveChunks() throws -> [UInt8] {
        var body: [UInt8] = []
        while true {
            let line = try receive(until: "\r\n")
            let size = Int(line.split(separator: ";")[0].trimmingCharacters(in: .whitespacesAndNewlines), radix: 16)!
            if size == 0 {
                while try receive(until: "\r\n") != "\r\n" {}
                return body
            }
            body += try receive(count: size)
            _ = try receive(until: "\r\n")
        }
    }

    func shutdownWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        Glibc.close(descriptor)
    }

    /// Ends the connection with a reset.
    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        close()
    }
}

/// Not passed on to programs that other tests start: a copy there would keep a connection open that was closed here.
let streamSocket = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)

func withUnixAddress<Result>(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8) + [0]) }
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
}

/// Runs a blocking script on a thread of its own, so that no task's thread waits.
func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Swift.Result { try body() }) }
    }
}

/// Waits for a fact, with a bound.
func eventually(_ fact: () -> Bool) -> Bool {
    let end = Date(timeIntervalSinceNow: Double(Patience.seconds))
    while Date() < end {
        if fact() { return true }
        usleep(1000)
    }
    return fact()
}
