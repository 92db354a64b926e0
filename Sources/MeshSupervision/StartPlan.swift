/// In which order services start: those that are called before those that call them, as many at once as that allows.
package struct StartPlan: Hashable, Sendable {
    package struct Service: Hashable, Sendable {
        package var name: String
        package var calls: Set<String>
        /// May start although what it calls is not ready.
        package var startsAnyway: Bool

        package init(name: String, calls: Set<String>, startsAnyway: Bool = false) {
            self.name = name
            self.calls = calls
            self.startsAnyway = startsAnyway
        }
    }

    /// Each wave may start when all before it are ready. Names within a wave are sorted.
    package let waves: [[String]]
    /// Services that call each other in a circle, which `mesh check` refuses: they start together.
    package let circular: Set<String>

    package init(_ services: [Service]) {
        let names = Set(services.map(\.name))
        var waits: [String: Set<String>] = [:]
        for service in services {
            waits[service.name] = service.startsAnyway ? [] : service.calls.intersection(names).subtracting([service.name])
        }
        var waves: [[String]] = []
        var circular: Set<String> = []
        while !waits.isEmpty {
            var wave = waits.filter { $0.value.isEmpty }.map(\.key)
            if wave.isEmpty {
                wave = Self.circle(in: waits)
                circular.formUnion(wave)
            }
            for name in wave { waits[name] = nil }
            for name in waits.keys { waits[name]?.subtract(wave) }
            waves.append(wave.sorted())
        }
        self.waves = waves
        self.circular = circular
    }

    /// Callers first: what is stopped has nobody left who calls it.
    package var stopOrder: [[String]] { waves.reversed() }

    /// A circle that waits for nothing outside itself: where walking on from any service ends.
    private static func circle(in waits: [String: Set<String>]) -> [String] {
        func reachable(_ start: String) -> Set<String> {
            var found: Set<String> = []
            var open = [start]
            while let name = open.popLast() {
                for next in waits[name] ?? [] where found.insert(next).inserted { open.append(next) }
            }
            return found
        }
        let smallest = waits.keys.map { reachable($0).union([$0]) }.min { ($0.count, $0.min()!) < ($1.count, $1.min()!) }
        return Array(smallest ?? [])
    }
}
