/// What a gateway needs to speak TLS with its clients.
package struct InboundTLS: Hashable, Sendable, Codable {
    /// One at least.
    package var certificates: [CertificateFiles]
    /// Plain HTTP is answered with a redirect instead of a refusal.
    package var redirectsHTTP: Bool

    package init(certificates: [CertificateFiles], redirectsHTTP: Bool = false) {
        self.certificates = certificates
        self.redirectsHTTP = redirectsHTTP
    }
}

/// A certificate and its key, by the absolute paths of their files (PEM).
package struct CertificateFiles: Hashable, Sendable, Codable {
    /// The chain, the server's own certificate first.
    package var certificate: String
    package var key: String
    /// The hosts that it is for, `*.example.com` for all directly below; empty for every other one.
    package var names: [String]
    /// Which files these were when somebody looked, so that others under the same names make another configuration; nil where nobody did.
    package var stamp: String?

    package init(certificate: String, key: String, names: [String] = [], stamp: String? = nil) {
        self.certificate = certificate
        self.key = key
        self.names = names
        self.stamp = stamp
    }
}
