/// Which calls go first where not all can be served: the value of `mesh-criticality`, set at the edge and handed down.
package enum Criticality: String, Hashable, Sendable, Codable, CaseIterable, Comparable {
    /// Shed last.
    case critical
    case standard = "default"
    /// Shed first.
    case sheddable

    /// From 0 on, the most critical first.
    package var place: Int {
        switch self {
        case .critical: 0
        case .standard: 1
        case .sheddable: 2
        }
    }

    package static func < (left: Criticality, right: Criticality) -> Bool { left.place > right.place }
}
