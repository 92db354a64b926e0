/// What a scalar of mesh.yaml can be. The decoder's check, the allowed words of a finding and the JSON Schema of a key all come from here.
enum ScalarType: Hashable, Sendable {
    /// Any text that isn't empty.
    case text
    /// Text with at least one word.
    case command
    /// Text, a number or a boolean, all taken as text: a command's arguments and variables.
    case argument
    case name
    case boolean
    /// A switch: `on`, `off`, or a boolean.
    case toggle
    /// One fixed word.
    case keyword(String)
    /// `off`, and `false`, which editors with YAML 1.1 make of it.
    case off
    case integer(ClosedRange<Int>)
    case number(above: Double, upTo: Double)
    case duration(canBeZero: Bool)
    case size
    /// From nothing to everything: `20%` or `0.2`.
    case share
    case rate
    /// `200/s per client`, `200/s per header X-Key`.
    case scopedRate
    /// `p99`, `p99.9`.
    case percentile
    /// `fixed 64`.
    case fixedLimit
    /// `8080`, `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`.
    case address
    /// `http://` or `https://`, with a host.
    case url
    /// `etcd://host:port,host:port`.
    case registryURL
    /// Begins with `/`.
    case urlPath
    /// `/exact`, `/prefix/**`, `/a/*/b`.
    case pathPattern
    /// `/orders/**`, `GET /search`.
    case routeKey
    case variableName
    case method
    /// `GET /healthz`.
    case requestLine
    case fieldName
    /// A host, or `*.example.com`.
    case host
    /// An address or a block of them: `10.0.0.0/8`.
    case addressBlock

    /// The pattern of those types that are text of a certain form (ECMA 262, as JSON Schema asks); nil for the others.
    var pattern: String? {
        switch self {
        case .command: #"\S"#
        case .name: #"^[A-Za-z][A-Za-z0-9_-]{0,62}$"#
        case .duration(let canBeZero):
            (canBeZero ? "^" : #"^(?![0.]+[a-z])"#) + #"([0-9]{1,9}(\.[0-9]{1,9})?(us|ms|s)|[0-9]{1,6}(\.[0-9]{1,9})?(m|h))$"#
        case .size: #"^(?![0.]+[A-Z])([0-9]{1,9}B|[0-9]{1,6}(\.[0-9]{1,9})?([KMGT]B|[KMGT]iB))$"#
        case .share: #"^(([0-9]|[1-9][0-9])(\.[0-9]{1,9})?|100)%$"#
        case .rate: #"^(?![0.]+/)[0-9]{1,9}(\.[0-9]{1,9})?/[smh]$"#
        case .scopedRate:
            #"^(?![0.]+/)[0-9]{1,9}(\.[0-9]{1,9})?/[smh]( per (client|header [!#$%&'*+.^_`|~0-9A-Za-z-]+))?$"#
        case .percentile: #"^p[0-9]{1,2}(\.[0-9]{1,3})?$"#
        case .fixedLimit: #"^fixed [1-9][0-9]{0,5}$"#
        case .address: #"^(\[[0-9A-Fa-f:.%a-z]+\]:|[A-Za-z0-9._-]+:|\*:)?"# + Self.port + "$"
        case .url: #"^https?://([^/?#@\s]+@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:"# + Self.port + #")?(/[^?#\s]*)?$"#
        case .registryURL: #"^etcd://[A-Za-z0-9._\[\]:-]+(,[A-Za-z0-9._\[\]:-]+)*$"#
        case .urlPath: #"^/[^\s?#]*$"#
        case .pathPattern: "^" + Self.pathForm
        case .routeKey: "^([A-Z]+ )?" + Self.pathForm
        case .variableName: "^[A-Za-z_][A-Za-z0-9_]*$"
        case .method: #"^[A-Z]+$"#
        case .requestLine: #"^[A-Z]+ /[^\s#]*$"#
        case .fieldName: #"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"#
        case .host: #"^(\*\.)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"#
        case .addressBlock: #"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$"#
        default: nil
        }
    }

    private static let pathForm = #"(?=/)(/([^\s?#*/]+|\*))*(/(\*\*)?)?$"#
    /// 0 to 65535.
    private static let port = "([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"

    /// One or two words for "expected …".
    var description: String {
        switch self {
        case .text: "text"
        case .command: "a command"
        case .argument: "text or a number"
        case .name: "a name (letters, digits, - and _, a letter first)"
        case .boolean: "true or false"
        case .toggle: "on or off"
        case .keyword(let word): word
        case .off: "off"
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .number(let low, let high): "a number above \(Self.short(low)), up to \(Self.short(high))"
        case .duration: "a duration (250ms, 2s, 5m, 24h)"
        case .size: "a size (512KB, 64MiB)"
        case .share: "a share (20% or 0.2)"
        case .rate: "a rate (200/s)"
        case .scopedRate: "a rate (200/s per client, 200/s per header X-Key)"
        case .percentile: "a percentile (p99)"
        case .fixedLimit: "fixed N"
        case .address: "an address (8080, 127.0.0.1:8080, [::1]:8080)"
        case .url: "a URL (http://host:port/path)"
        case .registryURL: "etcd://host:port,host:port"
        case .urlPath: "a path (/healthz)"
        case .pathPattern: "a path pattern (/exact, /prefix/**, /a/*/b)"
        case .routeKey: "[METHOD ]pattern (/exact, /prefix/**, GET /a/*/b)"
        case .variableName: "a variable's name (letters, digits and _, no digit first)"
        case .method: "a method (GET)"
        case .requestLine: "a request (GET /healthz)"
        case .fieldName: "a header's name"
        case .host: "a host (shop.example.com, *.example.com)"
        case .addressBlock: "an address or block (10.0.0.0/8)"
        }
    }

    /// The words that can be meant by a misspelt one.
    var words: [String] {
        switch self {
        case .keyword(let word): [word]
        case .off: ["off"]
        case .boolean: ["true", "false"]
        case .toggle: ["on", "off"]
        default: []
        }
    }

    private static func short(_ value: Double) -> String { value == value.rounded() ? String(Int(value)) : String(value) }
}
