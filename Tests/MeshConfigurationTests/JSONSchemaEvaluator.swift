import MeshConfiguration
import Testing

/// As much of JSON Schema 2020-12 as the schema of mesh.yaml uses; a keyword that isn't known here is an issue of the test.
final class JSONSchemaEvaluator {
    let root: JSONValue
    private var patterns: [String: Regex<AnyRegexOutput>] = [:]
    private static let annotations: Set = ["$schema", "$defs", "title", "description"]

    init(root: JSONValue) { self.root = root }

    private func regex(_ pattern: String) -> Regex<AnyRegexOutput> {
        if let known = patterns[pattern] { return known }
        let regex = try! Regex(pattern)
        patterns[pattern] = regex
        return regex
    }

    func accepts(_ value: JSONValue) -> Bool { accepts(value, root) }

    func accepts(_ value: JSONValue, _ schema: JSONValue) -> Bool {
        guard case .object(let members) = schema else { return schema == true }
        return members.allSatisfy { keyword in
            Self.annotations.contains(keyword.name) || accepts(value, keyword.name, keyword.value, in: schema)
        }
    }

    func resolved(_ schema: JSONValue) -> JSONValue {
        guard case .string(let reference)? = schema["$ref"] else { return schema }
        return root["$defs"]![String(reference.dropFirst("#/$defs/".count))]!
    }

    private func accepts(_ value: JSONValue, _ keyword: String, _ argument: JSONValue, in schema: JSONValue) -> Bool {
        switch (keyword, argument) {
        case ("$ref", _): return accepts(value, resolved(schema))
        case ("anyOf", .array(let schemas)): return schemas.contains { accepts(value, $0) }
        case ("allOf", .array(let schemas)): return schemas.allSatisfy { accepts(value, $0) }
        case ("oneOf", .array(let schemas)): return schemas.count(where: { accepts(value, $0) }) == 1
        case ("not", let inner): return !accepts(value, inner)
        case ("if", let condition): return accepts(value, schema[accepts(value, condition) ? "then" : "else"] ?? true)
        case ("then", _), ("else", _): return true
        case ("type", .string(let type)): return isOf(type, value)
        case ("type", .array(let types)): return types.contains { if case .string(let type) = $0 { isOf(type, value) } else { false } }
        case ("const", let constant): return value == constant
        case ("enum", .array(let values)): return values.contains(value)
        case ("pattern", .string(let pattern)):
            guard case .string(let text) = value else { return true }
            return text.firstMatch(of: regex(pattern)) != nil
        case ("minLength", .integer(let length)):
            guard case .string(let text) = value else { return true }
            return text.unicodeScalars.count >= length
        case ("minimum", let bound): return number(value).map { $0 >= number(bound)! } ?? true
        case ("maximum", let bound): return number(value).map { $0 <= number(bound)! } ?? true
        case ("exclusiveMinimum", let bound): return number(value).map { $0 > number(bound)! } ?? true
        case ("required", .array(let names)):
            guard case .object(let members) = value else { return true }
            return names.allSatisfy { name in members.contains { .string($0.name) == name } }
        case ("properties", _):
            guard case .object(let members) = value else { return true }
            return members.allSatisfy { member in argument[member.name].map { accepts(member.value, $0) } ?? true }
        case ("additionalProperties", let other):
            guard case .object(let members) = value else { return true }
            return members.allSatisfy { schema["properties"]?[$0.name] != nil || accepts($0.value, other) }
        case ("propertyNames", let names):
            guard case .object(let members) = value else { return true }
            return members.allSatisfy { accepts(.string($0.name), names) }
        case ("minProperties", .integer(let count)):
            guard case .object(let members) = value else { return true }
            return members.count >= count
        case ("minItems", .integer(let count)):
            guard case .array(let elements) = value else { return true }
            return elements.count >= count
        case ("items", let items):
            guard case .array(let elements) = value else { return true }
            return elements.allSatisfy { accepts($0, items) }
        default:
            Issue.record("keyword \(keyword) is not known to the evaluator")
            return false
        }
    }

    private func number(_ value: JSONValue) -> Double? {
        switch value {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    private func isOf(_ type: String, _ value: JSONValue) -> Bool {
        switch (type, value) {
        case ("null", .null), ("boolean", .boolean), ("integer", .integer), ("number", .integer), ("number", .number), ("string", .string),
            ("array", .array), ("object", .object):
            true
        case ("integer", .number(let value)): value == value.rounded()
        default: false
        }
    }
}
