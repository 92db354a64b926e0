import Curl
import Foundation
import MeshModel
import Synchronization
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

/// Load at a fixed rate from threads of its own, so that nothing that a test waits for holds it up.
final class SteadyLoad: Sendable {
    struct Result: Sendable {
        var answered = 0
        var failures: [String] = []
    }

    private let result = Guarded(Result())
    private let workers = DispatchGroup()

    /// - Parameter request: sent `rate * seconds` times, each on its time whatever becomes of the others.
    init(_ request: CurlRequest, rate: Int, seconds: Double) {
        let total = Int(Double(rate) * seconds)
        let start = ContinuousClock.now
        let counter = Counter()
        for _ in 0..<min(total, 16) {
            workers.enter()
            Thread.detachNewThread {
                defer { self.workers.leave() }
                while true {
                    let number = counter.next.wrappingAdd(1, ordering: .relaxed).oldValue
                    guard number < total else { return }
                    Self.sleep(until: start + .seconds(Double(number) / Double(rate)))
                    self.send(request)
                }
            }
        }
    }

    private final class Counter: Sendable {
        let next = Atomic(0)
    }

    private func send(_ request: CurlRequest) {
        do {
            let answer = try TestMesh.client.send(request)
            result.withLock {
                if answer.status == 200 { $0.answered += 1 } else { $0.failures.append("\(answer.status) \(answer.text.prefix(300))") }
            }
        } catch {
            result.withLock { $0.failures.append("\(error)") }
        }
    }

    private static func sleep(until time: ContinuousClock.Instant) {
        let rest = time - .now
        guard rest > .zero else { return }
        Thread.sleep(forTimeInterval: Double(rest.components.seconds) + Double(rest.components.attoseconds) * 1e-18)
    }

    /// Waits for the last answer.
    func finish() -> Result {
        workers.wait()
        return result.withLock { $0 }
    }
}
