internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import NIOCore

// Requests in the clear, at a gateway that has certificates.

extension RequestSource {
    /// Whether the present request came in the clear where it must not. A Unix socket is on this host and no network.
    var isForbiddenPlain: Bool {
        guard loop.tls.server != nil, !isSecure, case .gateway = mode else { return false }
        if case .unix = peer { return false }
        return true
    }

    /// Leads the client to the same place by `https`, or refuses.
    func answerPlain(_ call: ForwardedCall) {
        guard loop.tls.server?.redirectsHTTP == true, let location = secureLocation(of: call) else {
            answer(
                MeshAnswer(status: 400, flag: nil, cause: "this port takes HTTPS; ask with https://", error: "http_request_denied"))
            return
        }
        call.routeState.responseLines += Array("location: \(location)\r\n".utf8)
        answer(MeshAnswer(status: 308, contents: []))
    }

    /// Every port of a gateway with certificates takes HTTPS, so that the client's own port stays, unless it is that of plain HTTP.
    private func secureLocation(of call: ForwardedCall) -> String? {
        call.requestBytes.withUnsafeReadableBytes { bytes in
            var authority = call.request.authority.map { bytes[$0].map(ASCII.lowercase) } ?? []
            if authority.suffix(3).elementsEqual(":80".utf8) { authority.removeLast(3) }
            guard !authority.isEmpty else { return nil }
            var location = "https://" + String(decoding: authority, as: UTF8.self)
            location += call.request.path.isEmpty ? "/" : String(decoding: bytes[call.request.path], as: UTF8.self)
            if let query = call.request.query { location += "?" + String(decoding: bytes[query], as: UTF8.self) }
            return location
        }
    }
}
