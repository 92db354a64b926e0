/// Why control groups can't be used, and what would change that.
package enum ControlGroupObstacle: Error, Hashable, Sendable, CustomStringConvertible {
    /// The machine has no hierarchy of version 2, or hides it.
    case absent
    case readOnly(String)
    case notDelegated(String, isPrivileged: Bool, hasManager: Bool)
    /// A group that bounds others can't have processes itself, and these are not ours to move.
    case shared(String, [ControlGroupHost.Process], isPrivileged: Bool, hasManager: Bool)
    /// The kernel did not do what it was asked to.
    case refused(String, code: Int32)

    package var description: String {
        switch self {
        case .absent: "there are no control groups of version 2 here"
        case .readOnly(let group): "control group \(group) can't be written to"
        case .notDelegated(let group, _, _): "control group \(group) is not delegated"
        case .shared(let group, let others, _, _):
            "control group \(group) also holds \(others.first.map { "\($0.name) (pid \($0.id))" } ?? "others")"
                + (others.count > 1 ? " and \(others.count - 1) more" : "")
        case .refused(let attempt, let code): "\(attempt): \(ControlGroupFiles.reason(code))"
        }
    }

    /// What to do about it, in a line; nil where nothing helps that we know of.
    package var fix: String? {
        switch self {
        case .absent: "boot with systemd.unified_cgroup_hierarchy=1"
        case .readOnly: nil
        case .notDelegated(_, let isPrivileged, let hasManager), .shared(_, _, let isPrivileged, let hasManager):
            hasManager ? Self.ownScope(isPrivileged: isPrivileged) : nil
        case .refused: nil
        }
    }

    static func ownScope(isPrivileged: Bool) -> String {
        "systemd-run \(isPrivileged ? "" : "--user ")--scope -p Delegate=yes mesh up"
    }
}
