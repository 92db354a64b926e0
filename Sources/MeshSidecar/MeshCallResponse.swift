public import HTTPTypes
package import MeshTransport

/// What a service answered to a call, whatever its status.
public struct MeshCallResponse: Sendable {
    /// Who answered.
    public let service: ServiceName
    public let status: HTTPResponse.Status
    public let headerFields: HTTPFields
    /// It can be read once. To drop it unread ends the call, and the service notices.
    public let body: MeshBody

    package init(service: ServiceName, _ response: CallResponse) {
        self.service = service
        status = HTTPResponse.Status(code: response.status)
        headerFields = response.fields
        body = MeshBody(.stream(response.body))
    }

    /// For tests of code that reads answers.
    public init(service: ServiceName, status: HTTPResponse.Status, headerFields: HTTPFields = [:], body: MeshBody = MeshBody()) {
        self.service = service
        self.status = status
        self.headerFields = headerFields
        self.body = body
    }

    public var isSuccessful: Bool { status.kind == .successful }

    /// The whole body.
    public func collect(upTo limit: Int = 1 << 20) async throws -> [UInt8] {
        do {
            return try await body.collect(upTo: limit)
        } catch is Problem {
            throw UnreadableAnswer(service: service, reason: "it is longer than \(limit) bytes")
        }
    }

    /// The body as JSON, of a 2xx answer.
    ///
    /// - Throws: ``UnexpectedStatus`` for another status, with the problem that the service gave; ``UnreadableAnswer`` when the body is
    ///   not that JSON.
    public func json<Value: Decodable>(as type: Value.Type, upTo limit: Int = 1 << 20) async throws -> Value {
        guard isSuccessful else { throw await unexpectedStatus() }
        let bytes = try await collect(upTo: limit)
        do {
            return try MeshJSON.decode(type, from: bytes)
        } catch {
            throw UnreadableAnswer(service: service, reason: Problem(decoding: error).description)
        }
    }

    /// For an answer of which only the success counts; its body is read and thrown away.
    ///
    /// - Throws: ``UnexpectedStatus`` for a status other than 2xx, with the problem that the service gave.
    public func requireSuccess() async throws {
        guard isSuccessful else { throw await unexpectedStatus() }
        // Read, so that the connection can be used again; a longer rest costs more than a new connection.
        _ = try? await body.collectBuffer(upTo: 64 << 10)
    }

    private func unexpectedStatus() async -> UnexpectedStatus {
        // An answer that is too long or was broken off has no problem to tell; its status is what counts.
        let bytes = (try? await body.collect(upTo: 64 << 10)) ?? []
        return UnexpectedStatus(service: service, status: status, problem: Problem(json: bytes, status: status))
    }
}
