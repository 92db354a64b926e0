/// Which calls go first where not all can be served: the value of `mesh-criticality`, set at the edge and handed down.
package enum Criticality: String, Hashable, Sendable, Codable, CaseIterable, Comparable {
    /// Shed last.
    case critical
    case standard = "default"
    /// Shed first.
    case sheddable

    private var rank: Int {
        switch self {
        case .sheddable: 0
        case .standard: 1
        case .critical: 2
        }
    }

    package static func < (left: Criticality, right: Criticality) -> Bool { left.rank < right.rank }
}
