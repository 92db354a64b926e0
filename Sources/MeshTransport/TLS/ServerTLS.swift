internal import MeshExchange
internal import NIOCore
internal import NIOSSL

/// The certificates of a gateway, read and ready for handshakes; immutable, and replaced as a whole.
///
/// A connection keeps what it began with, so that none ends when certificates are replaced.
final class ServerTLS: Sendable {
    let context: NIOSSLContext
    let redirectsHTTP: Bool

    /// In order of preference (RFC 7301).
    static let protocols = ["h2", "http/1.1"]

    /// - Throws: where a file can't be read, or a key does not belong to its certificate.
    init(_ configuration: InboundTLS) throws(TLSUnusable) {
        let certificates = CertificateChoice(try configuration.certificates.map(LoadedCertificate.init))
        var settings = TLSConfiguration.makeServerConfiguration(
            certificateChain: certificates.standard.chain, privateKey: certificates.standard.key)
        settings.minimumTLSVersion = .tlsv12
        settings.applicationProtocols = Self.protocols
        settings.shutdownTimeout = .seconds(2)
        if certificates.hasSeveral {
            settings.sslContextCallback = { hello, promise in
                var override = NIOSSLContextConfigurationOverride()
                if let chosen = hello.serverHostname.flatMap({ certificates.certificate(for: $0) }) {
                    override.certificateChain = chosen.chain
                    override.privateKey = chosen.key
                }
                promise.succeed(override)
            }
        }
        do {
            context = try NIOSSLContext(configuration: settings)
        } catch {
            throw TLSUnusable(description: "TLS can't be set up with the certificates of the gateway: \(error)")
        }
        redirectsHTTP = configuration.redirectsHTTP
    }
}

/// Why files can't be used for TLS, and what to do about it.
package struct TLSUnusable: Error, CustomStringConvertible {
    package let description: String
}

/// A chain and its key, as they were read.
struct LoadedCertificate: Sendable {
    var names: [String]
    var chain: [NIOSSLCertificateSource]
    var key: NIOSSLPrivateKeySource

    init(_ files: CertificateFiles) throws(TLSUnusable) {
        names = files.names.map { $0.lowercased() }
        do {
            chain = try NIOSSLCertificate.fromPEMFile(files.certificate).map { .certificate($0) }
        } catch {
            throw TLSUnusable(
                description: "the certificate '\(files.certificate)' can't be read (\(error)): gateway.tls.cert names a PEM file"
            )
        }
        guard !chain.isEmpty else {
            throw TLSUnusable(description: "there is no certificate in '\(files.certificate)': gateway.tls.cert names a PEM file")
        }
        do {
            key = .privateKey(try NIOSSLPrivateKey(file: files.key, format: .pem))
        } catch {
            throw TLSUnusable(
                description: "the key '\(files.key)' can't be read (\(error)): gateway.tls.key names a PEM file with an unencrypted key")
        }
        do {
            _ = try NIOSSLContext(configuration: .makeServerConfiguration(certificateChain: chain, privateKey: key))
        } catch {
            throw TLSUnusable(
                description: "the key '\(files.key)' does not belong to '\(files.certificate)': name the one it was made with")
        }
    }
}

/// Which certificate a client gets, by the name that it asks for (SNI, RFC 6066 3).
struct CertificateChoice: Sendable {
    /// For clients that ask for no name, or for one that no certificate is for.
    let standard: LoadedCertificate
    private let named: [String: LoadedCertificate]

    /// - Parameter certificates: one at least; where two are for one name, the first is meant.
    init(_ certificates: [LoadedCertificate]) {
        standard = certificates.first { $0.names.isEmpty } ?? certificates[0]
        named = certificates.reduce(into: [:]) { named, certificate in
            for name in certificate.names where named[name] == nil { named[name] = certificate }
        }
    }

    var hasSeveral: Bool { !named.isEmpty }

    /// nil where the standard one is meant. A wildcard stands for one label.
    func certificate(for host: String) -> LoadedCertificate? {
        let host = host.lowercased()
        if let exact = named[host] { return exact }
        guard let dot = host.firstIndex(of: ".") else { return nil }
        return named["*" + host[dot...]]
    }
}
