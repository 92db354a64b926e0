import Curl
import Foundation
import Testing

extension TestMesh {
    static let client = CurlClient()

    /// One request through the gateway.
    func send(_ method: String, _ path: String, json: String? = nil, headers: [CurlHeader] = []) throws -> CurlResponse {
        let body: CurlRequest.Body = json.map { .text($0) } ?? .none
        let type = json == nil ? [] : [CurlHeader("Content-Type", "application/json")]
        return try Self.client.send(CurlRequest(method, try gateway + path, headers: type + headers, body: body))
    }

    /// One request to an instance itself, past the gateway.
    func ask(_ service: String, _ path: String) throws -> [String: Any] {
        let address = try #require(try instances.first { $0["service"] as? String == service }?["address"] as? String)
        let request =
            address.hasPrefix("unix:")
            ? CurlRequest("GET", "http://\(service)\(path)", unixSocket: String(address.dropFirst(5)))
            : CurlRequest("GET", "http://\(address)\(path)")
        return try object(try Self.client.send(request))
    }

    func object(_ response: CurlResponse) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(response.body)) as? [String: Any], "\(response.text)")
    }

    /// The spans of a trace, once it is stored with at least `services` in it.
    func trace(_ id: String, with services: Set<String>, within bound: TimeInterval = 10) throws -> [[String: Any]] {
        var spans: [[String: Any]] = []
        let found = try Wait.until(bound) {
            let shown = try mesh("traces", "show", id, "--json").json as? [String: Any]
            spans = shown?["spans"] as? [[String: Any]] ?? []
            return Set(spans.compactMap { $0["service"] as? String }).isSuperset(of: services)
        }
        try #require(found, "trace \(id) has only \(Set(spans.compactMap { $0["service"] as? String }))")
        return spans
    }
}
