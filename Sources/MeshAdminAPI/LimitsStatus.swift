package import MeshLimits

/// How the limits of processes are kept that a daemon starts.
package struct LimitsStatus: Hashable, Sendable, Codable {
    /// In which the instances have groups of their own; nil where there can be none.
    package var controlGroup: String?
    /// As far as the machine's cores go: what a service with more than those is bound by, its instances say.
    package var ways: LimitKeeping
    /// Why not all of them are kept by control groups.
    package var reason: String?
    package var fix: String?

    package init(controlGroup: String? = nil, ways: LimitKeeping, reason: String? = nil, fix: String? = nil) {
        self.controlGroup = controlGroup
        self.ways = ways
        self.reason = reason
        self.fix = fix
    }

    package init(_ division: Result<ControlGroupDivision, ControlGroupObstacle>) {
        switch division {
        case .failure(let obstacle):
            self.init(ways: Self.ways([]), reason: "\(obstacle)", fix: obstacle.fix)
        case .success(let division):
            self.init(controlGroup: division.folder, ways: Self.ways(division.controllers))
            let absent = ControlGroupControllers.all.subtracting(division.controllers).names
            guard let first = absent.first else { return }
            reason =
                division.missing[first]?.description
                ?? "control group \(division.parent) has no controller for \(absent.joined(separator: " and "))"
            fix = division.fixForControllers
        }
    }

    private static func ways(_ controllers: ControlGroupControllers) -> LimitKeeping {
        LimitKeeping(
            memory: controllers.contains(.memory) ? .controlGroup : .watched, cpu: controllers.contains(.cpu) ? .controlGroup : .wholeCores,
            files: .processLimit)
    }

    private enum CodingKeys: String, CodingKey {
        case controlGroup = "control_group"
        case ways, reason, fix
    }
}
