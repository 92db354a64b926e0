import Foundation
import Glibc

/// A client that knows nothing of the mesh: bytes over a Unix socket, written and read by a thread of its own.
final class RawClient: Sendable {
    struct Answer: Sendable {
        var status: Int
        /// Names in lower case.
        var fields: [String: String]
        var body: String

        /// The body as JSON, by a path of keys.
        func json() -> [String: Any]? {
            (try? JSONSerialization.jsonObject(with: Data(body.utf8))) as? [String: Any]
        }
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    private let descriptor: Int32

    /// Connects; `patience` bounds every wait, so that a test that goes wrong ends.
    init(path: String, patience: Int = 90) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(description: "socket: \(errno)") }
        var patience = timeval(tv_sec: patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let fits = withUnsafeMutableBytes(of: &address.sun_path) { room in
            guard path.utf8.count < room.count else { return false }
            room.copyBytes(from: path.utf8)
            return true
        }
        guard fits else { throw Failure(description: "path too long: \(path)") }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        // The descriptor is closed by deinit, which runs for an object that is complete even when its init throws.
        guard result == 0 else { throw Failure(description: "connect: \(String(cString: strerror(errno)))") }
    }

    deinit { Glibc.close(descriptor) }

    func send(_ text: String) throws {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { throw Failure(description: "send: \(errno)") }
            bytes = bytes.dropFirst(count)
        }
    }

    /// Leaves, as a client does that lost its patience.
    func leave() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// All that comes until the other end closes.
    func readToEnd() throws -> String {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = recv(descriptor, &piece, piece.count, 0)
            guard count >= 0 else { throw Failure(description: "recv: \(String(cString: strerror(errno))), so far: \(bytes.count) bytes") }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += piece[..<count]
        }
    }

    /// One request on a connection of its own.
    static func get(
        _ target: String, at path: String, method: String = "GET", fields: [String: String] = [:], body: String? = nil
    ) async throws -> Answer {
        try await onThread {
            let client = try RawClient(path: path)
            var head = "\(method) \(target) HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
            for (name, value) in fields { head += "\(name): \(value)\r\n" }
            if let body { head += "Content-Length: \(body.utf8.count)\r\n" }
            try client.send(head + "\r\n" + (body ?? ""))
            return try parse(client.readToEnd())
        }
    }

    static func parse(_ text: String) throws -> Answer {
        guard let end = text.range(of: "\r\n\r\n") else { throw Failure(description: "no head in: \(text)") }
        let lines = text[..<end.lowerBound].components(separatedBy: "\r\n")
        guard let status = lines[0].split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
            throw Failure(description: "no status in: \(lines[0])")
        }
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
        var body = String(text[end.upperBound...])
        if fields["transfer-encoding"] == "chunked" { body = try dechunk(body) }
        return Answer(status: status, fields: fields, body: body)
    }

    private static func dechunk(_ text: String) throws -> String {
        var rest = Array(text.utf8)[...]
        var body: [UInt8] = []
        while let lineEnd = rest.firstIndex(of: 13) {
            guard let size = Int(String(decoding: rest[rest.startIndex..<lineEnd], as: UTF8.self), radix: 16) else {
                throw Failure(description: "no chunk in: \(text)")
            }
            if size == 0 { return String(decoding: body, as: UTF8.self) }
            let start = lineEnd + 2
            guard start + size + 2 <= rest.endIndex else { break }
            body += rest[start..<start + size]
            rest = rest[(start + size + 2)...]
        }
        throw Failure(description: "a chunked body without an end: \(text)")
    }

    /// Runs what blocks on a thread of its own, so that no task waits for a thread of the pool.
    static func onThread<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            Thread { continuation.resume(with: Result { try work() }) }.start()
        }
    }
}
