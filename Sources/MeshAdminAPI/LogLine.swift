/// One line that an instance wrote.
package struct LogLine: Hashable, Sendable, Codable {
    package enum Stream: String, Hashable, Sendable, Codable {
        case out = "stdout"
        case error = "stderr"
        /// What the mesh says of the instance.
        case mesh
    }

    package var time: Timestamp
    package var service: String
    package var instance: String
    package var stream: Stream
    /// Without its newline.
    package var text: String
    /// Of a line that is a JSON object, what it says.
    package var fields: [String: JSONField]?

    package init(
        time: Timestamp, service: String, instance: String, stream: Stream = .out, text: String, fields: [String: JSONField]? = nil
    ) {
        self.time = time
        self.service = service
        self.instance = instance
        self.stream = stream
        self.text = text
        self.fields = fields
    }
}

/// A value of JSON as somebody else wrote it.
package enum JSONField: Hashable, Sendable, Codable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case number(Double)
    case text(String)
    case list([JSONField])
    case object([String: JSONField])

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .boolean(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if let value = try? container.decode([JSONField].self) {
            self = .list(value)
        } else {
            self = .object(try container.decode([String: JSONField].self))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .boolean(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .text(let value): try container.encode(value)
        case .list(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }

    /// A text as it is, everything else as JSON has it.
    package var description: String {
        switch self {
        case .null: "null"
        case .boolean(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .text(let value): value
        case .list(let values): "[" + values.map(\.description).joined(separator: ",") + "]"
        case .object(let values):
            "{" + values.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value.description)" }.joined(separator: ",") + "}"
        }
    }
}
