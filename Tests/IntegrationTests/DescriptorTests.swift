import Foundation
import Glibc
import Testing

extension RealProcesses {
    @Suite struct DescriptorTests {
        @Test func aGatewayWithoutDescriptorsWaitsForThemWithoutSpinning() throws {
            let mesh = try TestMesh(
                """
                mesh: crowd
                gateway: { run: "${BIN}/edge-gateway", listen: "127.0.0.1:0", threads: 1, routes: { "/**": echo } }
                services:
                  echo: { tier: enterprise, run: "${BIN}/echo" }
                """)
            try mesh.up()
            let gateway = try #require(try mesh.pids(of: "gateway").first)
            let port = try #require(UInt16(try mesh.gateway.split(separator: ":").last ?? ""))
            let kept = try Client(port)
            #expect(try kept.ask().hasPrefix("HTTP/1.1 200 "))

            // Fewer than it has open already: whatever it accepts now fails.
            let before = try limit(gateway, to: 8)
            let waiting = try (0..<20).map { _ in try Client(port) }
            let used = try processorTime(of: gateway)
            Thread.sleep(forTimeInterval: 1)
            #expect(try processorTime(of: gateway) - used < 0.2)
            #expect(try kept.ask().hasPrefix("HTTP/1.1 200 "))

            try limit(gateway, to: before)
            for client in waiting { #expect(try client.ask().hasPrefix("HTTP/1.1 200 ")) }
        }

        /// Sets how many descriptors a process may have; returns how many it might have before.
        @discardableResult
        private func limit(_ process: Int, to count: Int) throws -> Int {
            let limits = try String(contentsOfFile: "/proc/\(process)/limits", encoding: .utf8)
            let before = try #require(limits.firstMatch(of: /Max open files +([0-9]+)/).flatMap { Int($0.1) })
            let run = try RunningCommand(
                "/usr/bin/prlimit", ["--pid", "\(process)", "--nofile=\(count):"], environment: [:], folder: .temporaryDirectory
            ).end(within: 10)
            try #require(run.status == 0, "\(run.errors)")
            return before
        }

        /// Seconds.
        private func processorTime(of process: Int) throws -> Double {
            let text = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
            let fields = try #require(text.split(separator: ")").last).split(separator: " ")
            return (Double(fields[11])! + Double(fields[12])!) / Double(sysconf(CInt(_SC_CLK_TCK)))
        }
    }

    /// A connection that waits, at most 30 s, for whatever is asked on it.
    private final class Client {
        private let descriptor: CInt

        init(_ port: UInt16) throws {
            descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
            try #require(descriptor >= 0)
            var patience = timeval(tv_sec: 30, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            let isConnected = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) } == 0
            }
            try #require(isConnected)
        }

        deinit { close(descriptor) }

        /// The beginning of the answer.
        func ask() throws -> String {
            let request = "GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n"
            let sent = send(descriptor, request, request.utf8.count, CInt(MSG_NOSIGNAL))
            try #require(sent == request.utf8.count)
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = recv(descriptor, &bytes, bytes.count, 0)
            return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        }
    }
}
