import Curl
import Foundation

extension TestMesh {
    /// One that was free a moment ago: what scrapes has to know it beforehand.
    static func portFromTheKernel() -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(descriptor, $0, length)
                getsockname(descriptor, $0, &length)
            }
        }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// What Prometheus would scrape.
    static func metrics(at port: Int) throws -> String {
        try client.send(CurlRequest("GET", "http://127.0.0.1:\(port)/metrics")).text
    }

    /// The sum over all series of a metric that have these labels.
    static func metric(_ name: String, _ labels: [String], at port: Int) throws -> Double {
        try metrics(at: port).split(separator: "\n")
            .filter { line in line.hasPrefix(name + "{") && labels.allSatisfy { line.contains($0) } }
            .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }
            .reduce(0, +)
    }
}
