package import MeshAdminAPI

/// `mesh top`: the machine in a line, and one line per instance.
package enum TopTable {
    package enum Order: String, CaseIterable, Sendable {
        case cpu, memory, traffic, name
    }

    /// - Parameter rows: how many lines there is room for; nil for all.
    package static func lines(_ report: TopReport, by order: Order = .cpu, width: Int?, rows: Int? = nil) -> [StyledText] {
        var table = Table([
            .init("INSTANCE", minimum: 12), .init("TIER", dropOrder: 7), .init("CPU", alignment: .trailing),
            .init("LAST MINUTE", dropOrder: 5), .init("MEM", alignment: .trailing), .init("LIMIT", alignment: .trailing, dropOrder: 6),
            .init("FDS", alignment: .trailing, dropOrder: 3), .init("THREADS", alignment: .trailing, dropOrder: 4),
            .init("RPS", alignment: .trailing, dropOrder: 1), .init("FAILED", alignment: .trailing, dropOrder: 2),
        ])
        for instance in sorted(report.instances, by: order) {
            let usage = instance.usage
            table.add([
                StyledText(instance.instance, instance.state == .ready ? .bold : .yellow), StyledText(instance.tier),
                StyledText(percent(usage?.cpuPercent), usage?.cpuPercent ?? 0 >= 90 ? .red : nil),
                StyledText(bars(instance.cpuHistory), .cyan), memory(instance),
                StyledText(instance.memoryLimitBytes.map(Quantities.bytes) ?? "-", .dim), descriptors(instance),
                StyledText(usage.map { String($0.threads) } ?? "-"), StyledText(instance.rps.map(rate) ?? "-"),
                StyledText(instance.failedRatio.map(Quantities.percent) ?? "-", instance.failedRatio ?? 0 > 0 ? .red : nil),
            ])
        }
        var lines = heading(report.node, report.instances, width: width) + table.lines(width: width)
        if let rows, lines.count > rows, rows > 1 {
            let hidden = lines.count - rows + 1
            lines = lines.prefix(rows - 1) + [StyledText("… \(hidden) more", .dim)]
        }
        return lines
    }

    private static func heading(_ node: TopReport.Node, _ instances: [TopReport.Instance], width: Int?) -> [StyledText] {
        let used = node.memoryTotalBytes - node.memoryAvailableBytes
        let parts = [
            node.host, "cpu \(percent(node.cpuPercent)) of \(Quantities.count(node.cores, "core"))",
            "load \(Quantities.decimal(node.load, 2))",
            "memory \(Quantities.bytes(used)) of \(Quantities.bytes(node.memoryTotalBytes))",
            "mesh \(Quantities.bytes(instances.reduce(0) { $0 + ($1.usage?.rssBytes ?? 0) }))",
            "daemon \(percent(node.daemon.cpuPercent)) \(Quantities.bytes(node.daemon.rssBytes))",
        ]
        // The least important stand last: what has no room is left out.
        var text = ""
        for part in parts {
            let longer = text.isEmpty ? part : text + " · " + part
            if let width, DisplayWidth.of(longer) > width, !text.isEmpty { break }
            text = longer
        }
        let line = StyledText(text, .dim)
        return [width.map { line.truncated(to: $0) } ?? line]
    }

    private static func sorted(_ instances: [TopReport.Instance], by order: Order) -> [TopReport.Instance] {
        func value(_ instance: TopReport.Instance) -> Double {
            switch order {
            // Over some seconds, so that lines don't jump about.
            case .cpu: instance.cpuHistory.suffix(5).reduce(0, +)
            case .memory: Double(instance.usage?.rssBytes ?? 0)
            case .traffic: instance.rps ?? 0
            case .name: 0
            }
        }
        return instances.sorted { left, right in
            let (leftValue, rightValue) = (value(left), value(right))
            return leftValue == rightValue ? left.instance < right.instance : leftValue > rightValue
        }
    }

    private static func memory(_ instance: TopReport.Instance) -> StyledText {
        guard let bytes = instance.usage?.rssBytes else { return "-" }
        let isNearLimit = instance.memoryLimitBytes.map { bytes > $0 / 10 * 9 } ?? false
        return StyledText(Quantities.bytes(bytes), isNearLimit ? .red : nil)
    }

    private static func descriptors(_ instance: TopReport.Instance) -> StyledText {
        guard let count = instance.usage?.descriptors else { return "-" }
        let isNearLimit = instance.descriptorLimit.map { count > $0 / 10 * 9 } ?? false
        return StyledText(String(count), isNearLimit ? .red : nil)
    }

    private static func percent(_ value: Double?) -> String { value.map { Quantities.decimal($0, $0 < 9.95 ? 1 : 0) + "%" } ?? "-" }
    private static func rate(_ value: Double) -> String { Quantities.decimal(value, value < 9.95 ? 1 : 0) }

    /// Two looks each, the higher counts; a full bar is a whole core, or the most there was if that is more.
    static func bars(_ history: [Double]) -> String {
        let marks = Array("▁▂▃▄▅▆▇█")
        let full = max(100, history.max() ?? 0)
        let recent = Array(history.suffix(30))
        return String(
            stride(from: recent.count % 2, to: recent.count, by: 2).map { at in
                let value = max(recent[at], recent[min(at + 1, recent.count - 1)])
                return marks[min(marks.count - 1, Int(value / full * Double(marks.count)))]
            })
    }
}
