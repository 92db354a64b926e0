import Foundation

/// A frame of a known type whose payload can't be understood; the connection itself is sound, and goes on.
package struct MalformedMessage: Error, Hashable, CustomStringConvertible {
    package var type: UInt8
    package var reason: String

    package var description: String { "a control message of type \(type) can't be read: \(reason)" }
}

/// Payloads are JSON, so that either end may be older than the other: unknown fields are ignored, missing ones have defaults.
enum Payload {
    static func encode(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // These types hold strings, integers, booleans and finite numbers only, all of which JSON can say.
        guard let data = try? encoder.encode(value) else { preconditionFailure("\(type(of: value)) has a field that JSON can't say") }
        return Array(data)
    }

    static func decode<Value: Decodable>(_ type: Value.Type, from frame: Frame) throws(MalformedMessage) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(frame.payload))
        } catch {
            throw MalformedMessage(type: frame.type, reason: explanation(of: error))
        }
    }

    private static func explanation(of error: any Error) -> String {
        func path(_ context: DecodingError.Context) -> String {
            context.codingPath.isEmpty ? "the top level" : context.codingPath.map(\.stringValue).joined(separator: ".")
        }
        switch error {
        case DecodingError.keyNotFound(let key, let context): return "'\(key.stringValue)' is missing at \(path(context))"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
            DecodingError.dataCorrupted(let context):
            return "\(path(context)): \(context.debugDescription)"
        default: return String(describing: error)
        }
    }
}

extension KeyedDecodingContainer {
    func decode<Value: Decodable>(_ key: Key, default value: Value) throws -> Value {
        try decodeIfPresent(Value.self, forKey: key) ?? value
    }
}
