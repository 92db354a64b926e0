internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import MeshPolicy
internal import NIOCore

// The value by which `balance: hash` sends a request always to the same endpoint.

extension ForwardedCall {
    /// For `RequestFacts.affinity`; nil where the request has no such value, so that it may go anywhere.
    func affinity(by key: HashKey) -> UInt64? {
        requestBytes.withUnsafeReadableBytes { bytes in
            switch key {
            case .header(let name): fieldValue(named: name, bytes).map { HashRing.hash($0) }
            case .cookie(let name): cookie(named: name, bytes).map { HashRing.hash($0) }
            case .source: clientAddress.isEmpty ? forwardedClient(bytes).map { HashRing.hash($0) } : HashRing.hash(clientAddress)
            }
        }
    }

    /// - Parameter name: in lower case.
    func fieldValue(named name: String, _ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var name = name
        let index = name.withUTF8 { request.fields.index(named: UnsafeRawBufferPointer($0), in: bytes) }
        return index.map { bytes[request.fields[$0].value] }
    }

    /// A cookie may stand in any of several fields.
    func cookie(named name: String, _ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var name = name
        return name.withUTF8 { name in
            var start = 0
            while let index = request.fields.index(named: "cookie", from: start, in: bytes) {
                if let value = Cookies(bytes[request.fields[index].value]).value(of: UnsafeRawBufferPointer(name)) { return value.trimmed }
                start = index + 1
            }
            return nil
        }
    }

    /// Behind the edge: the first address that the edge has written down.
    private func forwardedClient(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard identity.origin == .mesh, let field = request.fields.first(.xForwardedFor) else { return nil }
        let value = bytes[field.value]
        return UnsafeRawBufferPointer(rebasing: value.prefix { $0 != UInt8(ascii: ",") }).trimmed
    }
}
