package import MeshAdminAPI

/// `mesh ps`: one line per service, in the order in which the daemon names them, and one below for each that does not come up.
package enum InstanceTable {
    package static func lines(_ instances: [InstanceStatus], width: Int?) -> [StyledText] {
        var table = Table([
            .init("SERVICE", minimum: 10), .init("TIER", dropOrder: 4), .init("READY"),
            .init("VERSION", dropOrder: 7),
            .init("PORT", dropOrder: 5), .init("CPU", dropOrder: 3), .init("MEM", dropOrder: 2), .init("RESTARTS", dropOrder: 6),
            .init("STATE", minimum: 21),
        ])
        for service in ServiceSummary.grouped(instances) {
            table.add([
                StyledText(service.name, .bold), StyledText(service.tier), StyledText("\(service.ready)/\(service.wanted)", service.style),
                StyledText(service.version), StyledText(service.port), StyledText(service.cpu), StyledText(service.memory),
                StyledText(String(service.restarts), service.restarts > 0 ? .yellow : nil), StyledText(service.state, service.style),
            ])
            if let trouble = service.trouble {
                table.addNote(note(trouble, service: service.name, width: width))
            }
        }
        return table.lines(width: width)
    }

    /// `  └ exit 1 after 0.3s: "bad schema v7"              mesh logs catalog/v2 --last-crash`: the next command stands at the right where there is room.
    private static func note(_ trouble: String, service: String, width: Int?) -> StyledText {
        let next = "mesh logs \(service) --last-crash"
        let room = min(width ?? 78, 100) - DisplayWidth.of(next) - 3
        guard room >= 24 else { return StyledText("  └ " + trouble, .red) }
        let left = StyledText("  └ ", .red) + StyledText(DisplayWidth.truncate(trouble, to: room - 4), .red)
        return left.padded(to: room) + "   " + StyledText(next, .cyan)
    }
}

/// What `mesh ps` says of one service, gathered from its instances.
struct ServiceSummary {
    let name: String
    let tier: String
    let instances: [InstanceStatus]

    static func grouped(_ instances: [InstanceStatus]) -> [ServiceSummary] {
        var order: [String] = []
        var members: [String: [InstanceStatus]] = [:]
        for instance in instances {
            if members[instance.service] == nil { order.append(instance.service) }
            members[instance.service, default: []].append(instance)
        }
        return order.map { ServiceSummary(name: $0, tier: members[$0]?.first?.tier ?? "", instances: members[$0] ?? []) }
    }

    var ready: Int { instances.count { $0.ready } }
    var wanted: Int { instances.count }
    var restarts: Int { instances.reduce(0) { $0 + $1.restarts } }

    var version: String { joined(instances.map(\.version)) }

    /// The port, where all instances share one; `auto` where the mesh assigned what they listen on.
    var port: String {
        let ports = Set(instances.map { $0.address.flatMap(Self.port) })
        guard ports.count == 1, let only = ports.first, let port = only else { return "auto" }
        return port
    }

    var cpu: String {
        let values = instances.compactMap(\.cpuPercent)
        return values.isEmpty ? "-" : Quantities.decimal(values.reduce(0, +), 0) + "%"
    }

    var memory: String {
        let values = instances.compactMap(\.rssBytes)
        return values.isEmpty ? "-" : Quantities.bytes(values.reduce(0, +))
    }

    /// The worst that is true of any instance.
    var state: String {
        let looping = instances.filter { $0.state == .crashLoop }
        if !looping.isEmpty {
            guard let next = looping.compactMap(\.nextRestartIn).min() else { return "crash loop" }
            return "crash loop, next try \(Quantities.decimal(max(0, next), next < 1 ? 1 : 0))s"
        }
        for (state, text) in [
            (InstanceState.unready, "not ready"), (.starting, "starting"), (.draining, "draining"), (.stopped, "stopped"),
        ] {
            let count = instances.count { $0.state == state }
            if count > 0 { return count == wanted ? text : "\(text) (\(count))" }
        }
        let behind = instances.count { $0.rules == .old || $0.rules == .refused }
        return behind == 0 ? "ok" : "old rules" + (behind == wanted ? "" : " (\(behind))")
    }

    var style: Style {
        if instances.contains(where: { $0.state == .crashLoop }) { return .red }
        return ready == wanted ? .green : .yellow
    }

    /// How the last failing instance ended, with the last thing it said.
    var trouble: String? {
        let failing =
            instances.first { $0.state == .crashLoop || ($0.state == .starting && $0.restarts > 0) }
            ?? instances.first(where: \.ranOutOfMemory)
        return failing?.ending
            ?? instances.first { $0.refusal != nil }.map { DisplayWidth.printable("\($0.instance) refuses its rules: \($0.refusal ?? "")") }
    }

    private func joined(_ values: [String?]) -> String {
        var seen: [String] = []
        for value in values.compactMap({ $0 }) where !seen.contains(value) { seen.append(value) }
        return seen.isEmpty ? "-" : seen.joined(separator: ",")
    }

    private static func port(_ address: String) -> String? {
        guard !address.hasPrefix("unix:"), let colon = address.lastIndex(of: ":") else { return nil }
        let digits = address[address.index(after: colon)...]
        return digits.isEmpty || !digits.allSatisfy(\.isNumber) ? nil : String(digits)
    }
}

extension InstanceStatus {
    /// Worth a word also once it runs again: it will happen again, since nothing else has changed.
    fileprivate var ranOutOfMemory: Bool { lastExit?.hasPrefix("killed out of memory") ?? false }

    /// How it ended last, and the last that it said: `exit 1 after 0.3s: "bad schema v7"`; nil if it never did.
    var ending: String? {
        lastExit.map { exit in
            DisplayWidth.printable(exit) + (lastErrorLine.map { ": \"\(DisplayWidth.printable($0))\"" } ?? "")
        }
    }
}
