import MeshExchange
import TestSupport

extension CertificateFolder {
    /// As `write` does, for a gateway.
    func files(_ name: String, _ certificate: TestCertificates.Certificate, names: [String] = []) throws -> CertificateFiles {
        let paths = try write(name, certificate)
        return CertificateFiles(certificate: paths.certificate, key: paths.key, names: names)
    }
}
