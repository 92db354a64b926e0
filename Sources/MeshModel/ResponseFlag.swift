/// Why the mesh, and not a service, gave an answer, or why an attempt failed: Envoy's response flags where one fits,
/// ours where none does.
package enum ResponseFlag: UInt8, Sendable, CaseIterable {
    case noHealthyEndpoint
    case connectFailure
    case overflow
    case upstreamClosed
    case upstreamTimeout
    case upstreamReset
    case retriesExhausted
    case noRoute
    case localReset
    case downstreamClosed
    case rateLimited
    case breakerOpen
    case budgetExhausted
    case creditExhausted
    case deadlineExhausted
    case shed
    /// The upstream broke HTTP (Envoy: UPE).
    case upstreamProtocolError
    /// The client broke HTTP (Envoy: DPE).
    case downstreamProtocolError
    /// Made on purpose (Envoy: FI).
    case faultInjected

    package var code: String {
        switch self {
        case .noHealthyEndpoint: "UH"
        case .connectFailure: "UF"
        case .overflow: "UO"
        case .upstreamClosed: "UC"
        case .upstreamTimeout: "UT"
        case .upstreamReset: "UR"
        case .retriesExhausted: "URX"
        case .noRoute: "NR"
        case .localReset: "LR"
        case .downstreamClosed: "DC"
        case .rateLimited: "RL"
        case .breakerOpen: "BO"
        case .budgetExhausted: "BX"
        case .creditExhausted: "CX"
        case .deadlineExhausted: "DX"
        case .shed: "SH"
        case .upstreamProtocolError: "UPE"
        case .downstreamProtocolError: "DPE"
        case .faultInjected: "FI"
        }
    }
}
