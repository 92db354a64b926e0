import Foundation

/// Files with certificates, in a folder of its own that goes with it.
package final class CertificateFolder: Sendable {
    package let path: String

    package init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("mesh-tls-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try TestCertificates.authority.chain.write(toFile: authority, atomically: true, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    package var authority: String { path + "/authority.pem" }

    /// Writes a certificate and its key; what had the name before is replaced.
    package func write(_ name: String, _ certificate: TestCertificates.Certificate) throws -> (certificate: String, key: String) {
        let paths = (certificate: "\(path)/\(name).pem", key: "\(path)/\(name).key")
        try certificate.chain.write(toFile: paths.certificate, atomically: true, encoding: .utf8)
        try certificate.key.write(toFile: paths.key, atomically: true, encoding: .utf8)
        return paths
    }
}
