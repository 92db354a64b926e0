internal import CMeshSystem
internal import Glibc
package import MeshModel

/// Asks an instance what a probe wants to know.
package enum ProbeRunner {
    package struct Target: Sendable {
        package var address: SocketAddress?
        package var instance: InstanceID
        package var logPath: String
        /// Where the log of this incarnation begins.
        package var logOffset: Int64
        package var workingFolder: String
        package var environment: [String: String]

        package init(
            address: SocketAddress?, instance: InstanceID, logPath: String, logOffset: Int64, workingFolder: String,
            environment: [String: String]
        ) {
            self.address = address
            self.instance = instance
            self.logPath = logPath
            self.logOffset = logOffset
            self.workingFolder = workingFolder
            self.environment = environment
        }
    }

    /// Nil if the answer is yes, otherwise why not, in one line. Takes no longer than the probe's timeout.
    ///
    /// Where its caller runs, for hundreds of instances are asked every second: what may take its time leaves that place.
    package nonisolated(nonsending) static func ask(_ probe: Probe, _ target: Target) async -> String? {
        let deadline = SystemClock.now() + probe.timeout
        switch probe.question {
        case .http(let path): return await http(path, target.address, deadline)
        case .tcp: return await tcp(target.address, deadline)
        case .exec(let command): return await exec(command, target, deadline)
        case .log(let pattern): return await log(pattern, target)
        }
    }

    private nonisolated(nonsending) static func withConnection(
        to address: SocketAddress?, _ deadline: Instant, _ body: nonisolated(nonsending) (Int32) async -> String?
    ) async -> String? {
        guard let address else { return "it listens nowhere" }
        let connection = mesh_connect(ListeningSocket.text(address))
        guard connection >= 0 else { return errno == EAGAIN ? "its backlog is full" : SystemError.reason(errno) }
        var answer: String? = "no connection in time"
        // A Unix socket is connected at once or not at all.
        if case .unix = address {
            answer = await body(connection)
        } else if await Reactor.shared.wait(connection, for: .writable, until: deadline) == .ready {
            let code = mesh_socket_error(connection)
            answer = code == 0 ? await body(connection) : SystemError.reason(code)
        }
        Reactor.shared.forget(connection)
        close(connection)
        return answer
    }

    private nonisolated(nonsending) static func tcp(_ address: SocketAddress?, _ deadline: Instant) async -> String? {
        await withConnection(to: address, deadline) { _ in nil }
    }

    private nonisolated(nonsending) static func http(_ path: String, _ address: SocketAddress?, _ deadline: Instant) async -> String? {
        await withConnection(to: address, deadline) { connection in
            let host = if case .tcp(let host, let port)? = address { "\(host):\(port)" } else { "localhost" }
            let request = "GET \(path) HTTP/1.1\r\nhost: \(host)\r\nuser-agent: mesh-probe\r\nconnection: close\r\n\r\n"
            // One small write into an empty socket buffer is never partial.
            guard send(connection, request, request.utf8.count, Int32(MSG_NOSIGNAL)) == request.utf8.count else {
                return SystemError.reason(errno)
            }
            var head: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 1024)
            while head.count < 12 {
                guard await Reactor.shared.wait(connection, for: .readable, until: deadline) == .ready else { return "no answer in time" }
                let count = recv(connection, &buffer, buffer.count, Int32(MSG_DONTWAIT))
                if count < 0 && (errno == EAGAIN || errno == EINTR) { continue }
                guard count > 0 else { return count == 0 ? "it closed the connection" : SystemError.reason(errno) }
                head += buffer[..<count]
            }
            let line = String(decoding: head.prefix(12), as: UTF8.self)
            guard line.hasPrefix("HTTP/1."), let status = Int(line.suffix(3)) else { return "it does not speak HTTP/1.1" }
            return (200..<400).contains(status) ? nil : "status \(status)"
        }
    }

    @concurrent private static func exec(_ command: String, _ target: Target, _ deadline: Instant) async -> String? {
        do {
            let child = try ChildProcess.spawn(
                "/bin/sh", arguments: ["sh", "-c", command], environment: target.environment, folder: target.workingFolder,
                descriptors: [], newSession: false)
            guard let process = ProcessHandle(child: child) else { return "it could not be watched" }
            var end = await process.ended(by: deadline)
            let isLate = end == nil
            if isLate {
                process.signalGroup(SIGKILL)
                // Also where the waiting task was cancelled: a child that was killed must be reaped.
                end = await Task { await process.ended(by: SystemClock.now() + .seconds(Int64(1))) }.value
            }
            switch end {
            case _ where isLate: return "no end in time"
            case .code(0): return nil
            case .code(let code): return "exit \(code)"
            case .signal(let number): return "ended by \(ExitReport.signalName(number))"
            case .unknown, nil: return "its end is unknown"
            }
        } catch {
            return "\(error)"
        }
    }

    @concurrent private static func log(_ pattern: String, _ target: Target) async -> String? {
        let limit = 8 << 20
        var bytes = Files.read(target.logPath, from: target.logOffset, limit: limit)
        if let size = Files.size(target.logPath), size < target.logOffset {
            // A new file was begun since.
            bytes = Files.read(target.logPath + ".1", from: target.logOffset, limit: limit) + Files.read(target.logPath, limit: limit)
        }
        let text = String(decoding: bytes, as: UTF8.self)
        let mark = " \(target.instance) "
        let said = text.split(separator: "\n").lazy.compactMap { line -> Substring? in
            guard let at = line.range(of: mark) else { return nil }
            return line[at.upperBound...].dropFirst(4)  // "out " or "err "
        }
        let expression = try? Regex(pattern)
        let found = said.contains { line in
            if let expression { (try? expression.firstMatch(in: line)) != nil } else { line.contains(pattern) }
        }
        return found ? nil : "no such line yet"
    }
}

extension StringProtocol {
    /// The first occurrence of a text.
    fileprivate func range(of text: String) -> Range<Index>? {
        var from = startIndex
        while from < endIndex {
            if self[from...].hasPrefix(text) { return from..<index(from, offsetBy: text.count) }
            from = index(after: from)
        }
        return nil
    }
}
