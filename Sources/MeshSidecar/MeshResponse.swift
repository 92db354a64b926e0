public import HTTPTypes
package import MeshTransport

/// The answer of a handler.
///
///     return .text("hello")
///     return try .json(order, status: .created, headerFields: [.location: "/orders/\(order.id)"])
public struct MeshResponse: Sendable {
    public var status: HTTPResponse.Status
    public var headerFields: HTTPFields
    public var body: OutgoingBody
    /// The route that answered, by which traces group requests, for instance `/orders/:id`; nil where the path itself is meant.
    public var route: String?
    /// The service that answers instead; everything else does not count then.
    let forwardedTo: ServiceName?
    let forwarded: OutboundResponse?

    public init(status: HTTPResponse.Status = .ok, headerFields: HTTPFields = [:], body: OutgoingBody = .none) {
        self.status = status
        self.headerFields = headerFields
        self.body = body
        forwardedTo = nil
        forwarded = nil
    }

    /// Passes on what a call answered, bytes as they come.
    public init(_ answer: MeshCallResponse) {
        let length = answer.headerFields[.contentLength].flatMap { Int($0) }
        self.init(status: answer.status, headerFields: answer.headerFields, body: .passing(answer.body, length: length))
    }

    init(forwarding request: MeshRequest, to service: ServiceName) {
        status = .ok
        headerFields = [:]
        body = .none
        forwardedTo = service
        forwarded = request.inbound.forward(to: service.description)
    }

    public static func text(_ text: String, status: HTTPResponse.Status = .ok, headerFields: HTTPFields = [:]) -> MeshResponse {
        MeshResponse(status: status, headerFields: headerFields, body: .text(text)).withDefault(contentType: "text/plain; charset=utf-8")
    }

    /// - Throws: what the value's own `encode(to:)` throws.
    public static func json(
        _ value: some Encodable, status: HTTPResponse.Status = .ok, headerFields: HTTPFields = [:]
    ) throws -> MeshResponse {
        MeshResponse(status: status, headerFields: headerFields, body: try .json(value)).withDefault(contentType: "application/json")
    }

    public static func bytes(
        _ bytes: [UInt8], contentType: String = "application/octet-stream", status: HTTPResponse.Status = .ok,
        headerFields: HTTPFields = [:]
    ) -> MeshResponse {
        MeshResponse(status: status, headerFields: headerFields, body: .bytes(bytes)).withDefault(contentType: contentType)
    }

    private func withDefault(contentType: String) -> MeshResponse {
        guard headerFields[.contentType] == nil else { return self }
        var response = self
        response.headerFields[.contentType] = contentType
        return response
    }

    /// As the transport takes it.
    package var outbound: OutboundResponse {
        if let forwarded { return forwarded }
        var response = OutboundResponse(status: status.code, fields: headerFields, body: body.outbound)
        response.route = route
        return response
    }
}
