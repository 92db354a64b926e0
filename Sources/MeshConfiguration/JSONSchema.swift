extension Schema {
    /// The JSON Schema (2020-12) of a mesh.yaml: it accepts what the decoder accepts, reading YAML as its core schema (1.2) does.
    ///
    /// Two forms of every map: whole, and as part of a whole (in profiles, and in a file that includes others), where nothing is required.
    package static func jsonSchema() -> JSONValue {
        var definitions: [JSONValue.Member] = []
        for isPart in [false, true] {
            for name in MapName.allCases { definitions.append(.init(definition(name, isPart), schema(of: map(name), isPart))) }
        }
        definitions.append(
            .init(
                "variable",
                [
                    "type": "string", "pattern": #"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"#,
                    "description": "${NAME} or ${NAME:-default}, replaced from the environment.",
                ]))
        return [
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "mesh.yaml",
            "description": .string(map(.top).summary),
            "type": "object",
            "if": ["required": ["include"]],
            "then": ["$ref": .string("#/$defs/" + definition(.top, true))],
            "else": ["$ref": .string("#/$defs/" + definition(.top, false))],
            "$defs": .object(definitions),
        ]
    }

    private static func definition(_ name: MapName, _ isPart: Bool) -> String { isPart ? name.rawValue + ".part" : name.rawValue }

    private static func schema(of map: MapShape, _ isPart: Bool) -> JSONValue {
        let required = isPart ? [] : map.keys.filter(\.isRequired).map(\.name)
        let choices = isPart ? [] : map.choices
        // An empty section is an empty map, unless something has to stand in it.
        let mayBeEmpty = required.isEmpty && !choices.contains(where: \.isRequired)
        var members: [JSONValue.Member] = [
            .init("description", .string(map.summary)),
            .init("type", mayBeEmpty ? ["object", "null"] : "object"),
            .init("additionalProperties", false),
            .init("properties", .object(map.keys.map { .init($0.name, schema(of: $0, in: map, isPart)) })),
        ]
        if !required.isEmpty { members.append(.init("required", .array(required.map(JSONValue.string)))) }
        let rules = choices.map { choice in
            var alternatives = choice.keys.map { JSONValue.object([.init("required", .array([.string($0)]))]) }
            if !choice.isRequired { alternatives.append(["not": ["anyOf": .array(alternatives)]]) }
            let rule = JSONValue.object([.init("oneOf", .array(alternatives))])
            // Of nothing, every key counts as present.
            return mayBeEmpty ? ["anyOf": [["type": "null"], rule]] : rule
        }
        if !rules.isEmpty { members.append(.init("allOf", .array(rules))) }
        return .object(members)
    }

    private static func schema(of key: Key, in map: MapShape, _ isPart: Bool) -> JSONValue {
        // What is laid over the file in a profile is always a part.
        var members = schema(of: key.shape, isPart || map.name == .top && key.name == "profiles")
        var text = key.summary
        if let standard = key.standard { text += " By default \(standard)." }
        if !hasEffect(map.name, key.name) { text += " Has no effect yet." }
        members.insert(.init("description", .string(text)), at: 0)
        return .object(members)
    }

    private static func schema(of shape: Shape, _ isPart: Bool) -> [JSONValue.Member] {
        var schemas: [JSONValue] = []
        var hasScalar = false
        for alternative in shape.alternatives {
            switch alternative {
            case .scalar(let type):
                hasScalar = true
                schemas.append(schema(of: type))
            case .map(let name): schemas.append(["$ref": .string("#/$defs/" + definition(name, isPart))])
            case .dictionary(let keys, let values, let least):
                schemas.append([
                    "type": least == 0 ? ["object", "null"] : "object", "minProperties": .integer(least), "propertyNames": schema(of: keys),
                    "additionalProperties": .object(schema(of: values, isPart)),
                ])
            case .list(let shape, let least):
                schemas.append([
                    "type": least == 0 ? ["array", "null"] : "array", "minItems": .integer(least),
                    "items": .object(schema(of: shape, isPart)),
                ])
            case .empty: schemas.append(["type": "null"])
            case .either: break
            }
        }
        if hasScalar { schemas.append(["$ref": "#/$defs/variable"]) }
        if schemas.count == 1, case .object(let members) = schemas[0] { return members }
        return [.init("anyOf", .array(schemas))]
    }

    private static func schema(of type: ScalarType) -> JSONValue {
        switch type {
        case .text: return ["type": "string", "minLength": 1]
        case .argument: return ["type": ["string", "number", "boolean"]]
        case .boolean: return ["type": "boolean"]
        case .toggle: return ["enum": ["on", "off", true, false]]
        case .keyword(let word): return ["const": .string(word)]
        case .off: return ["enum": ["off", false]]
        case .integer(let range):
            return ["type": "integer", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound)]
        case .number(let low, let high): return ["type": "number", "exclusiveMinimum": .number(low), "maximum": .number(high)]
        case .share:
            return ["anyOf": [["type": "number", "minimum": 0, "maximum": 1], text(type)]]
        case .address:
            return ["anyOf": [["type": "integer", "minimum": 0, "maximum": 65535], text(type)]]
        default: return text(type)
        }
    }

    private static func text(_ type: ScalarType) -> JSONValue {
        ["type": "string", "pattern": .string(type.pattern ?? ""), "description": .string(type.description)]
    }
}
