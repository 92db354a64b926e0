internal import MeshExchange
internal import MeshHTTP
internal import MeshModel

// Why a call failed, from tier to tier: `Proxy-Status` (RFC 9209) of an answer that is passed on.

extension ForwardedCall {
    /// Takes the entries of the tiers below out of a failed answer's head, and answers them as they go on with this tier's own behind
    /// them, since the one next to the client is the last. The edge leaves out which instance it was.
    func takeProxyStatus(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        guard response.status >= 500 else { return [] }
        let name: StaticString = "proxy-status"
        var lines = ""
        var start = 0
        while let index = response.fields.index(named: name, from: start, in: bytes) {
            let entry = String(decoding: bytes[response.fields[index].value], as: UTF8.self)
            lines += "proxy-status: \(identity.origin == .edge ? Self.withoutEndpoints(entry) : entry)\r\n"
            start = index + 1
        }
        if !lines.isEmpty {
            let name = UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
            response.dropField(named: name, in: bytes)
        }
        let tries = attempts?.count ?? 0
        if !lines.isEmpty || callFlag != nil || tries > 1 {
            var details = callFlag.map { "flag=\($0.code); " } ?? ""
            if tries > 0 { details += "attempt=\(tries); " }
            if identity.origin != .edge, let instance = attempts?.current?.instance { details += "endpoint=\(instance); " }
            lines += "proxy-status: \(loop.shared.service); received-status=\(response.status)"
            lines += "; details=\"\(details)\(destination?.service ?? "")\"\r\n"
        }
        return Array(lines.utf8)
    }

    /// An entry without `endpoint=…;` in its details.
    private static func withoutEndpoints(_ entry: String) -> String {
        var rest = entry[...]
        var result = ""
        while let range = rest.firstRange(of: "endpoint=") {
            result += rest[..<range.lowerBound]
            rest = rest[range.upperBound...].drop { $0 != ";" && $0 != "\"" }
            if rest.first == ";" { rest = rest.dropFirst().drop { $0 == " " } }
        }
        return result + rest
    }
}
