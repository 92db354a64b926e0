/// What a machine has of control groups (cgroup v2), as the one process sees it that would divide its own.
package struct ControlGroupHost: Hashable, Sendable {
    package struct Process: Hashable, Sendable {
        package var id: Int32
        package var name: String

        package init(id: Int32, name: String) {
            self.id = id
            self.name = name
        }
    }

    /// Where the hierarchy is mounted.
    package var mount: String
    /// The process's own group within it, as /proc/self/cgroup has it: `/` or `/user.slice/…`.
    package var path: String
    /// What the group can bound in groups below it.
    package var controllers: ControlGroupControllers
    /// The kernel's own first group: the only one that may have processes beside groups that are bounded.
    package var isRoot: Bool
    /// Whether groups can be made in it, and processes moved.
    package var isWritable: Bool
    /// Whoever manages the hierarchy has marked it as its payload's to divide.
    package var isMarkedDelegated: Bool
    /// systemd manages the hierarchy: it undoes what it didn't delegate.
    package var hasManager: Bool
    package var isPrivileged: Bool
    /// Processes in the group, those aside that would be moved out of it.
    package var others: [Process]

    package init(
        mount: String, path: String, controllers: ControlGroupControllers, isRoot: Bool = false, isWritable: Bool = true,
        isMarkedDelegated: Bool = false, hasManager: Bool = false, isPrivileged: Bool = false, others: [Process] = []
    ) {
        self.mount = mount
        self.path = path
        self.controllers = controllers
        self.isRoot = isRoot
        self.isWritable = isWritable
        self.isMarkedDelegated = isMarkedDelegated
        self.hasManager = hasManager
        self.isPrivileged = isPrivileged
        self.others = others
    }

    /// The own group as a folder.
    package var folder: String { Self.folder(mount, path) }

    static func folder(_ mount: String, _ path: String) -> String { path == "/" ? mount : mount + path }
}
