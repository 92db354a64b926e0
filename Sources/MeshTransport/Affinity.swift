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
    private func fieldValue(named name: String, _ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        for index in request.fields.indices {
            let field = request.fields[index]
            if bytes[field.name].lazy.map(ASCII.lowercase).elementsEqual(name.utf8) { return bytes[field.value] }
        }
        return nil
    }

    /// RFC 6265, 5.4: pairs between semicolons, names case-sensitive.
    private func cookie(named name: String, _ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        for index in request.fields.indices where bytes[request.fields[index].name].equalsIgnoringCase("cookie") {
            for pair in bytes[request.fields[index].value].split(separator: UInt8(ascii: ";")) {
                let pair = UnsafeRawBufferPointer(rebasing: pair).trimmed
                guard let equals = pair.firstIndex(of: UInt8(ascii: "=")), pair[..<equals].elementsEqual(name.utf8) else { continue }
                return UnsafeRawBufferPointer(rebasing: pair[(equals + 1)...])
            }
        }
        return nil
    }

    /// Behind the edge: the first address that the edge has written down.
    private func forwardedClient(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard identity.origin == .mesh, let field = request.fields.first(.xForwardedFor) else { return nil }
        let value = bytes[field.value]
        return UnsafeRawBufferPointer(rebasing: value.prefix { $0 != UInt8(ascii: ",") }).trimmed
    }
}
