/// What a control group bounds, of what limits speak of.
package struct ControlGroupControllers: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let memory = ControlGroupControllers(rawValue: 1)
    package static let cpu = ControlGroupControllers(rawValue: 2)
    package static let all: ControlGroupControllers = [.memory, .cpu]

    private static let named: [(name: String, controller: ControlGroupControllers)] = [("memory", .memory), ("cpu", .cpu)]

    /// Of words as `cgroup.controllers` has them; others are not ours to use.
    package init(words: some StringProtocol) {
        let words = String(words).split(whereSeparator: { !$0.isLetter }).map(String.init)
        self = Self.named.reduce(into: []) { if words.contains($1.name) { $0.insert($1.controller) } }
    }

    /// As the kernel calls them, always in the same order.
    package var names: [String] { Self.named.filter { contains($0.controller) }.map(\.name) }
}
