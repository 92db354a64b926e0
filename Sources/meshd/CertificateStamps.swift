import Glibc
import MeshConfiguration
import MeshExchange

extension MeshDocument {
    /// Notes which files the gateway's certificates are at present: a gateway reads them when its configuration changes, and a
    /// certificate that was renewed in its place would not change it.
    func stampingCertificates() -> MeshDocument {
        var document = self
        guard var tls = document.gateway?.tls else { return self }
        for index in tls.certificates.indices {
            let files = [tls.certificates[index].certificate, tls.certificates[index].key]
            tls.certificates[index].stamp = files.map(Self.stamp).joined(separator: " ")
        }
        document.gateway?.tls = tls
        return document
    }

    /// Tells a file from the one that has replaced it, and from itself after it was written to.
    private static func stamp(of path: String) -> String {
        var status = stat()
        guard stat(path, &status) == 0 else { return "-" }
        return "\(status.st_ino):\(status.st_size):\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
    }
}
