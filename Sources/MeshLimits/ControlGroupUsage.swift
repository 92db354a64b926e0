/// What a control group says of the processes in it; every group does, whatever it bounds.
package struct ControlGroupUsage: Hashable, Sendable {
    package var processes: [Int32]
    /// Of those, and of all that ended in it.
    package var cpuMicroseconds: Int64

    /// Of a group as a folder; nil if there is none.
    package init?(of group: String) {
        guard let statistics = ControlGroupFiles.read(group + "/cpu.stat") else { return nil }
        processes = ControlGroupFiles.processes(of: group)
        let words = statistics.split(whereSeparator: \.isWhitespace)
        guard let name = words.firstIndex(of: "usage_usec"), name + 1 < words.count, let number = Int64(words[name + 1]) else { return nil }
        cpuMicroseconds = number
    }

    /// Of the group that a process is in.
    package init?(around process: Int32) {
        guard let folder = ControlGroupSurvey.folder(of: process) else { return nil }
        self.init(of: folder)
    }
}
