import Foundation
import MeshExchange
import TestSupport

@testable import MeshTransport

/// Files with certificates, in a folder of its own that goes with it.
final class CertificateFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("mesh-tls-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try TestCertificates.authority.chain.write(toFile: authority, atomically: true, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var authority: String { path + "/authority.pem" }

    /// Writes a certificate and its key; what had the name before is replaced.
    func files(_ name: String, _ certificate: TestCertificates.Certificate, names: [String] = []) throws -> CertificateFiles {
        let files = CertificateFiles(certificate: "\(path)/\(name).pem", key: "\(path)/\(name).key", names: names)
        try certificate.chain.write(toFile: files.certificate, atomically: true, encoding: .utf8)
        try certificate.key.write(toFile: files.key, atomically: true, encoding: .utf8)
        return files
    }
}
