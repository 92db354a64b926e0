/// What can stand at a place of mesh.yaml.
indirect enum Shape: Sendable {
    case scalar(ScalarType)
    /// A map with known keys.
    case map(MapName)
    /// A map whose keys are names of the author's.
    case dictionary(keys: ScalarType, values: Shape, atLeast: Int = 0)
    case list(of: Shape, atLeast: Int = 0)
    /// Nothing at all (`inventory:` and no more), where that means "as by default".
    case empty
    /// Invariant: at most one of them is a map or dictionary, and at most one a list.
    case either([Shape])

    var alternatives: [Shape] { if case .either(let shapes) = self { shapes.flatMap(\.alternatives) } else { [self] } }

    static func keywords(_ words: String...) -> Shape { .either(words.map { .scalar(.keyword($0)) }) }
    static func oneOrMore(_ shape: Shape) -> Shape { .either(shape.alternatives + [.list(of: shape, atLeast: 1)]) }
    func or(_ other: Shape...) -> Shape { .either(alternatives + other.flatMap(\.alternatives)) }

    static let text = Shape.scalar(.text)
    /// As text, or as a list of words.
    static let command = Shape.either([.scalar(.command), .list(of: .text, atLeast: 1)])
    static let name = Shape.scalar(.name)
    static let boolean = Shape.scalar(.boolean)
    static let off = Shape.scalar(.off)
    static let share = Shape.scalar(.share)
    static let url = Shape.scalar(.url)
    static let path = Shape.scalar(.urlPath)
    static let address = Shape.scalar(.address)
    static let size = Shape.scalar(.size)
    /// More than no time.
    static let duration = Shape.scalar(.duration(canBeZero: false))
    static func integer(_ range: ClosedRange<Int>) -> Shape { .scalar(.integer(range)) }
}

/// The maps of mesh.yaml that have keys of their own.
enum MapName: String, Sendable, CaseIterable {
    case top, profile, gateway, route, routeItem, match, headerRules, headerEdits, redirect, mirror, sticky, cors, respond, certificate
    case accessLog, gatewayLimits, gatewayTimeouts, fault
    case service, version, probe, restart, restartBackoff, limits, deploy, canary
    case call, retry, backoff, breaker, slow, eject, hash, balance, hedge, bulkhead, fixedLimit, callTLS
    case traces, keep, store, collector, metrics
}

/// One key of a map.
struct Key: Sendable {
    let name: String
    let shape: Shape
    /// As mesh.yaml would write it; nil where leaving the key out means that there is none.
    let standard: String?
    let isRequired: Bool
    let summary: String

    init(_ name: String, _ shape: Shape, standard: String? = nil, required: Bool = false, _ summary: String) {
        self.name = name
        self.shape = shape
        self.standard = standard
        isRequired = required
        self.summary = summary
    }
}

/// Keys of which at most one, or exactly one, may stand in a map.
struct Choice: Sendable {
    let keys: [String]
    let isRequired: Bool

    static func exactlyOne(_ keys: String...) -> Choice { Choice(keys: keys, isRequired: true) }
    static func atMostOne(_ keys: String...) -> Choice { Choice(keys: keys, isRequired: false) }
}

struct MapShape: Sendable {
    let name: MapName
    let summary: String
    let keys: [Key]
    let choices: [Choice]

    init(_ name: MapName, _ summary: String, _ keys: [Key], _ choices: [Choice] = []) {
        self.name = name
        self.summary = summary
        self.keys = keys
        self.choices = choices
    }

    var keyNames: [String] { keys.map(\.name) }
    func key(_ name: String) -> Key? { keys.first { $0.name == name } }
}

/// Every map, key, kind of value, default and description of mesh.yaml, said once.
///
/// The decoder's checks, the allowed sets, the suggestions, the JSON Schema and the list of keys that have no effect yet are all
/// read from here.
package enum Schema {
    static let maps: [MapName: MapShape] = Dictionary(
        uniqueKeysWithValues: (topMaps + gatewayMaps + serviceMaps + callMaps + traceMaps).map { ($0.name, $0) })

    static func map(_ name: MapName) -> MapShape { maps[name]! }
}
