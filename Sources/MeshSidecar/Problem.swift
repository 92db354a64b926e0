import Foundation
public import HTTPTypes

/// An error that a client is meant to see: it becomes an `application/problem+json` answer (RFC 9457).
///
/// Throw it from a handler:
///
///     guard quantity > 0 else {
///         throw Problem(
///             .badRequest, detail: "an order needs at least one piece of each item",
///             errors: [.init(field: "items[0].qty", message: "must be at least 1")])
///     }
///     throw Problem(.conflict, type: "https://shop.example/problems/out-of-stock", detail: "2 pieces of tea are left")
///
/// The answer carries the trace id too, as `trace_id`, so that a person who reports it can be helped.
public struct Problem: Error, Hashable, Sendable {
    /// What is wrong with one field of the request.
    public struct FieldError: Hashable, Sendable, Codable {
        /// The path of the field, for instance `items[0].qty`, or a query parameter's name.
        public var field: String
        public var message: String

        public init(field: String, message: String) {
            self.field = field
            self.message = message
        }
    }

    public var status: HTTPResponse.Status
    /// A URI that names the kind of problem; `about:blank` where the status says it all.
    public var type: String
    /// The kind of problem, for a person; the same at every occurrence.
    public var title: String
    /// This occurrence, for a person.
    public var detail: String?
    public var errors: [FieldError]
    /// Sent with the answer, for instance `Retry-After`.
    public var headerFields: HTTPFields

    public static let mediaType = "application/problem+json"

    /// - Parameter title: The status's own phrase unless given.
    public init(
        _ status: HTTPResponse.Status, type: String = "about:blank", title: String? = nil, detail: String? = nil,
        errors: [FieldError] = [], headerFields: HTTPFields = [:]
    ) {
        self.status = status
        self.type = type
        self.title = title ?? Self.phrase(of: status)
        self.detail = detail
        self.errors = errors
        self.headerFields = headerFields
    }
}

extension Problem {
    /// RFC 9110's phrase, also for a status that was made of its number alone.
    private static func phrase(of status: HTTPResponse.Status) -> String {
        if !status.reasonPhrase.isEmpty { return status.reasonPhrase }
        return phrases[status.code] ?? "Status \(status.code)"
    }

    private static let phrases: [Int: String] = {
        let known: [HTTPResponse.Status] = [
            .badRequest, .unauthorized, .forbidden, .notFound, .methodNotAllowed, .notAcceptable, .requestTimeout, .conflict, .gone,
            .lengthRequired, .preconditionFailed, .contentTooLarge, .uriTooLong, .unsupportedMediaType, .rangeNotSatisfiable,
            .expectationFailed, .misdirectedRequest, .unprocessableContent, .tooEarly, .upgradeRequired, .preconditionRequired,
            .tooManyRequests, .requestHeaderFieldsTooLarge, .internalServerError, .notImplemented, .badGateway, .serviceUnavailable,
            .gatewayTimeout, .httpVersionNotSupported,
        ]
        return Dictionary(uniqueKeysWithValues: known.map { ($0.code, $0.reasonPhrase) })
    }()
}

extension Problem: CustomStringConvertible {
    public var description: String {
        let fields = errors.map { "\($0.field) \($0.message)" }.joined(separator: "; ")
        return ["\(status.code) \(title)", detail, fields.isEmpty ? nil : fields].compactMap(\.self).joined(separator: ": ")
    }
}

extension Problem {
    /// The members of RFC 9457, and ours; all may be missing in what others send.
    private struct Document: Codable {
        var type: String?
        var title: String?
        var status: Int?
        var detail: String?
        var errors: [FieldError]?
        var traceID: String?

        enum CodingKeys: String, CodingKey {
            case type, title, status, detail, errors
            case traceID = "trace_id"
        }
    }

    /// The answer that says it.
    package func response(traceID: String?) -> MeshResponse {
        let document = Document(
            type: type, title: title, status: status.code, detail: detail, errors: errors.isEmpty ? nil : errors, traceID: traceID)
        var response = MeshResponse(status: status, headerFields: headerFields)
        // Strings and integers can always be encoded; an answer without its body is still the right answer.
        if let bytes = try? MeshJSON.encode(document) { response.body = .bytes(bytes) }
        response.headerFields[.contentType] = Self.mediaType
        return response
    }

    /// Reads what another service answered; nil for a body that is no problem document.
    init?(json: [UInt8], status: HTTPResponse.Status) {
        guard let document = try? MeshJSON.decode(Document.self, from: json) else { return nil }
        self.init(
            status, type: document.type ?? "about:blank", title: document.title, detail: document.detail, errors: document.errors ?? [])
    }

    /// Reads JSON that a client sent; what is wrong with it becomes a problem that names the field.
    package static func decoding<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws(Problem) -> Value {
        do {
            return try MeshJSON.decode(type, from: bytes)
        } catch {
            throw Problem(decoding: error)
        }
    }

    /// A body that is no JSON, or not the JSON that was asked for.
    init(decoding error: any Error) {
        self.init(.badRequest, detail: "the body is not the JSON that this request needs")
        switch error {
        case DecodingError.keyNotFound(let key, let context):
            errors = [FieldError(field: Self.path(context.codingPath + [key]), message: "is missing")]
        case DecodingError.valueNotFound(_, let context):
            errors = [FieldError(field: Self.path(context.codingPath), message: "must not be null")]
        case DecodingError.typeMismatch(let type, let context):
            errors = [FieldError(field: Self.path(context.codingPath), message: "must be \(Self.word(for: type))")]
        case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
            errors = [FieldError(field: Self.path(context.codingPath), message: "is not valid: \(context.debugDescription)")]
        default:
            detail = "the body is not valid JSON"
        }
    }

    /// `items[0].qty`; `body` for the whole.
    private static func path(_ keys: [any CodingKey]) -> String {
        var path = ""
        for key in keys {
            if let index = key.intValue {
                path += "[\(index)]"
            } else {
                path += path.isEmpty ? key.stringValue : ".\(key.stringValue)"
            }
        }
        return path.isEmpty ? "body" : path
    }

    private static func word(for type: any Any.Type) -> String {
        switch type {
        case is any BinaryInteger.Type: "an integer"
        case is any FloatingPoint.Type: "a number"
        case is String.Type: "a string"
        case is Bool.Type: "true or false"
        case is [Any].Type: "a list"
        case is [String: Any].Type: "an object"
        default: "a \(type)"
        }
    }
}

/// The one way in which the library reads and writes JSON: dates as ISO 8601, slashes as they are.
package enum MeshJSON {
    package static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.dateEncodingStrategy = .iso8601
        encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
        return Array(try encoder.encode(value))
    }

    package static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        return try decoder.decode(type, from: Data(bytes))
    }
}
