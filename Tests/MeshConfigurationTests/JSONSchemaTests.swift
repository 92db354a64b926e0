import MeshConfiguration
import MeshModel
import TestSupport
import Testing

/// Documents made along the schema, most of them right, some with something wrong in them.
struct DocumentGenerator {
    let evaluator: JSONSchemaEvaluator
    var random: RandomSource
    /// One in this many choices goes wrong; 0 for never.
    var mistakes: Int
    private var samples: [JSONValue: [JSONValue]] = [:]

    static let texts = [
        "", " ", "x", "crm", "orders", "2nd", "a b", "ä", "on", "off", "none", "never", "all", "always", "on_failure", "true", "rolling",
        "canary",
        "recreate", "library", "process", "p2c", "round_robin", "least_requests", "source", "gradient2", "fixed 7", "fixed 0", "auto",
        "http1",
        "http2", "restart", "continue", "embedded", "stdout", "json", "text", "critical", "default", "sheddable", "p99", "p99.9", "p",
        "p100",
        "p1.2.3", "250ms", "2s", "0s", "0.0s", "1.5h", "5 s", "5d", "1234567m", "512KB", "64MiB", "0B", "1.5B", "9B", "1.25GiB", "20%",
        "0%",
        "100%", "100.5%", "020%", "101%", "0.2", "200/s", "0/s", "3/m", "200/s per client", "200/s per header X-Key", "200/s per cookie",
        "8080", "80800", "127.0.0.1:8080", "[::1]:8080", "localhost:0", "host:", "*:80", "[]:1", "http://localhost:9000", "http://",
        "https://a.example/x", "http://a:70000", "ftp://x", "http://u:p@h/", "etcd://a:1,b:2", "etcd://", "/", "/healthz", "/a/**",
        "/a/*/b",
        "/**", "/a*", "/a//b", "/a/**/b", "/a?b", "/a/", "GET", "get", "POST", "GET /healthz", "GET healthz", "tcp", "GET /a/**", "get /a",
        "X-Key", "X Key", "*.example.com", "a.example", "-a", "10.0.0.0/8", "::1", "10.0.0.0/8/9", "connect", "reset", "timeout", "5xx",
        "4xx",
        "UNAVAILABLE", "UNAVAILABLES", "null", "~", "1", "NAME_1", "1NAME",
    ]
    static let others: [JSONValue] = [
        .null, true, false, 0, 1, 2, 5, 6, 100, 101, 200, 308, 404, 503, 600, 1000, 1024, 8080, 65535, 65536, -1, .number(0.2),
        .number(0.5),
        .number(1.0), .number(1.5), .number(2.0), .number(1.9), .number(-0.5), .number(1e-5), .number(1e7), [], [:], ["x"], ["x": 1],
    ]

    init(seed: UInt64, mistakes: Int) {
        evaluator = JSONSchemaEvaluator(root: Schema.jsonSchema())
        random = RandomSource(seed: seed)
        self.mistakes = mistakes
    }

    private mutating func chance(_ count: Int) -> Bool { random.next(below: count) == 0 }
    private mutating func errs() -> Bool { mistakes > 0 && chance(mistakes) }

    mutating func document() -> JSONValue {
        let isPart = chance(4)
        let top = evaluator.root["$defs"]![isPart ? "top.part" : "top"]!
        var members: [JSONValue.Member] = []
        if case .object(let made) = value(of: top, depth: 0) { members = made }
        members.removeAll { $0.name == "include" }
        if isPart { members.append(.init("include", "other.yaml")) }
        return .object(members)
    }

    private mutating func anything() -> JSONValue {
        chance(2)
            ? .string(Self.texts[random.next(below: Self.texts.count)]) : Self.others[random.next(below: Self.others.count)]
    }

    private mutating func value(of unresolved: JSONValue, depth: Int) -> JSONValue {
        if errs() { return anything() }
        let schema = evaluator.resolved(unresolved)
        if case .array(let all)? = schema["anyOf"] {
            // What a variable will be is the environment's business.
            let schemas = all.filter { $0["$ref"] != "#/$defs/variable" }
            return value(of: schemas[random.next(below: schemas.count)], depth: depth)
        }
        if schema["properties"] != nil || schema["propertyNames"] != nil { return object(of: schema, depth: depth) }
        if let items = schema["items"] {
            var count = random.next(below: 3)
            if case .integer(let least)? = schema["minItems"], !errs() { count = max(count, least) }
            return .array((0..<count).map { _ in value(of: items, depth: depth + 1) })
        }
        if let constant = schema["const"] { return constant }
        if case .array(let values)? = schema["enum"] { return values[random.next(below: values.count)] }
        let right = samples[schema] ?? (Self.texts.map(JSONValue.string) + Self.others).filter { evaluator.accepts($0, schema) }
        samples[schema] = right
        return right.isEmpty ? anything() : right[random.next(below: right.count)]
    }

    private mutating func object(of schema: JSONValue, depth: Int) -> JSONValue {
        if schema["type"] != "object", chance(10) || errs() { return .null }
        var members: [JSONValue.Member] = []
        if let names = schema["propertyNames"], case .object? = schema["additionalProperties"] {
            var count = random.next(below: 4)
            if case .integer(let least)? = schema["minProperties"], !errs() { count = max(count, least) }
            for _ in 0..<count {
                guard case .string(let name) = value(of: names, depth: depth + 1), !members.contains(where: { $0.name == name }) else {
                    continue
                }
                members.append(.init(name, value(of: schema["additionalProperties"]!, depth: depth + 1)))
            }
            return .object(members)
        }
        guard case .object(let properties)? = schema["properties"] else { return [:] }
        var required: Set<String> = []
        if case .array(let names)? = schema["required"] { for case .string(let name) in names { required.insert(name) } }
        var excluded: Set<String> = []
        if case .array(let rules)? = schema["allOf"] {
            for case .array(let choices)? in rules.map({ rule in
                if case .array(let parts)? = rule["anyOf"] { parts.last?["oneOf"] } else { rule["oneOf"] }
            }) {
                let names = choices.compactMap { choice in
                    if case .array(let names)? = choice["required"], case .string(let name)? = names.first { name } else { nil }
                }
                let chosen = names[random.next(below: names.count)]
                required.insert(chosen)
                excluded.formUnion(names.filter { $0 != chosen })
            }
        }
        for property in properties {
            let isWanted =
                required.contains(property.name) ? !errs() : excluded.contains(property.name) ? errs() : chance(depth < 2 ? 3 : 5)
            if isWanted { members.append(.init(property.name, value(of: property.value, depth: depth + 1))) }
        }
        if errs() { members.append(.init("colour", "blue")) }
        return .object(members)
    }
}

@Suite(.calculating) struct JSONSchemaTests {
    /// Whether the decoder finds every key and value right, whatever they mean together. What a file lacks that includes others, they may have.
    private func decoderAccepts(_ document: JSONValue) -> (Bool, [Finding]) {
        var shapes: Set<FindingCode> = [.wrongKind, .unknownKey, .wrongValue, .wrongName]
        if document["include"] == nil { shapes.formUnion([.missingKey, .conflictingKeys]) }
        let findings = judge(document.text()).findings
        return (!findings.contains { shapes.contains($0.code) }, findings)
    }

    @Test(arguments: 0..<60) func rightDocumentsAreAcceptedByBoth(seed: Int) {
        var generator = DocumentGenerator(seed: UInt64(seed), mistakes: 0)
        for _ in 0..<5 {
            let document = generator.document()
            let isValid = generator.evaluator.accepts(document)
            #expect(isValid, "\(document.text())")
            let (accepted, findings) = decoderAccepts(document)
            #expect(accepted, "\(document.text())\n\(findings.rendered)")
        }
    }

    @Test(arguments: 0..<100) func bothAgree(seed: Int) {
        var generator = DocumentGenerator(seed: UInt64(1000 + seed), mistakes: 60)
        for _ in 0..<5 {
            let document = generator.document()
            let (accepted, findings) = decoderAccepts(document)
            let isValid = generator.evaluator.accepts(document)
            #expect(isValid == accepted, "\(document.text())\n\(findings.rendered)")
        }
    }

    /// Every sample against every kind of scalar, so that no pattern differs from what the decoder reads.
    @Test func everyScalarAgrees() throws {
        let evaluator = JSONSchemaEvaluator(root: Schema.jsonSchema())
        let values = DocumentGenerator.texts.map(JSONValue.string) + DocumentGenerator.others
        func service(_ key: String, _ value: JSONValue) -> JSONValue {
            ["mesh": "m", "services": ["a": .object([.init("tier", "edge"), .init("run", "a"), .init(key, value)])]]
        }
        let places: [(JSONValue) -> JSONValue] = [
            { ["mesh": $0] }, { ["mesh": "m", "same_tier": $0] }, { ["mesh": "m", "registry": $0] },
            { ["mesh": "m", "metrics": ["listen": $0]] },
            { service("sidecar", $0) }, { service("live", $0) }, { ["mesh": "m", "gateway": ["run": $0]] },
            { ["mesh": "m", "gateway": ["run": [$0]]] }, { service("replicas", $0) }, { service("ready", $0) }, { service("args", [$0]) },
            { service("limits", ["memory": $0]) }, { service("limits", ["cpu": $0]) }, { service("deploy", ["drain": $0]) },
            { service("on", $0) }, { service("deploy", ["max_surge": $0]) }, { service("calls", ["b": ["timeout": $0]]) },
            { ["mesh": "m", "services": ["a": ["tier": "edge", "url": $0]]] },
            { ["mesh": "m", "defaults": ["retry": $0]] }, { ["mesh": "m", "defaults": ["retry": ["on": [$0]]]] },
            { ["mesh": "m", "defaults": ["retry": ["methods": $0]]] }, { ["mesh": "m", "defaults": ["retry": ["reserve": $0]]] },
            { ["mesh": "m", "defaults": ["breaker": $0]] }, { ["mesh": "m", "defaults": ["breaker": ["errors": $0]]] },
            { ["mesh": "m", "defaults": ["limit": $0]] }, { ["mesh": "m", "defaults": ["hedge": ["after": $0]]] },
            { ["mesh": "m", "defaults": ["eject": ["sigma": $0]]] }, { ["mesh": "m", "defaults": ["slow_start": $0]] },
            { ["mesh": "m", "gateway": ["listen": $0]] }, { ["mesh": "m", "gateway": ["proxy_protocol": $0]] },
            { ["mesh": "m", "gateway": ["trusted_proxies": $0]] }, { ["mesh": "m", "gateway": ["access_log": $0]] },
            { ["mesh": "m", "gateway": ["routes": [["to": "a", "match": ["path": $0]]]]] },
            { ["mesh": "m", "gateway": ["routes": [["to": "a", "match": ["method": $0]]]]] },
            { ["mesh": "m", "gateway": ["routes": [["to": "a", "match": ["host": $0]]]]] },
            { ["mesh": "m", "gateway": ["routes": ["/a": ["to": "a", "rate_limit": $0]]]] },
            { ["mesh": "m", "gateway": ["routes": ["/a": ["to": "a", "sticky": ["cookie": $0]]]]] },
        ]
        for place in places {
            for value in values {
                let document = place(value)
                let isValid = evaluator.accepts(document)
                #expect(isValid == decoderAccepts(document).0, "\(document.text())")
            }
        }
        for key in DocumentGenerator.texts {
            let documents: [JSONValue] = [
                ["mesh": "m", "gateway": ["routes": .object([.init(key, "a")])]],
                ["mesh": "m", "services": .object([.init(key, ["tier": "edge", "run": "a"])])],
                service("env", .object([.init(key, "a")])),
            ]
            for document in documents {
                let isValid = evaluator.accepts(document)
                #expect(isValid == decoderAccepts(document).0, "\(document.text())")
            }
        }
    }

    @Test func variablesAreAcceptedWhereTheirValueMayBe() {
        let evaluator = JSONSchemaEvaluator(root: Schema.jsonSchema())
        #expect(evaluator.accepts(["mesh": "m", "gateway": ["threads": "${THREADS:-4}", "listen": "${PORT}"]]))
        #expect(!evaluator.accepts(["mesh": "m", "gateway": ["threads": "${4}"]]))
    }
}
