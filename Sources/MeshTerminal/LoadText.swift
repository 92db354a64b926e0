package import MeshAdminAPI

/// `mesh load`: what came of it.
package enum LoadText {
    package static func lines(_ result: LoadResult, selector: String) -> [StyledText] {
        let errors = result.sent == 0 ? 0 : Double(result.errors) / Double(result.sent) * 100
        var line = StyledText("sent \(result.sent)  late \(result.late)", result.late == 0 ? nil : .yellow)
        line.append("  err \(percent(errors))", result.errors == 0 ? nil : .red)
        for (name, value) in [("p50", result.p50MS), ("p99", result.p99MS), ("p99.9", result.p999MS)] {
            line.append("  \(name) \(EdgeTable.milliseconds(value))")
        }
        if let slowest = result.slowest.first(where: { $0.traceID != nil }), let id = slowest.traceID {
            line.append("  slowest: ")
            line.append("mesh traces show \(DisplayWidth.printable(String(id.prefix(6))))\(selector)", .cyan)
        }
        var lines = [line]
        let outcomes = result.outcomes.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        if outcomes.count > 1 || result.errors > 0 {
            lines.append(
                StyledText("     " + outcomes.map { "\($0.value)x \(DisplayWidth.printable($0.key))" }.joined(separator: "  "), .dim))
        }
        if result.late > 0 {
            lines.append(
                StyledText(
                    "     late: sent more than 10ms after its time, since \(Quantities.count(result.connections, "connection")) were not enough; latency counts from the intended time",
                    .dim))
        }
        return lines
    }

    private static func percent(_ value: Double) -> String { value == 0 ? "0%" : Quantities.decimal(max(value, 0.01), 2) + "%" }
}
