package import MeshAdminAPI

/// `mesh edges` and `mesh stat`: one line per edge of the graph, or per service.
package enum EdgeTable {
    package static func lines(_ edges: [EdgeStatus], width: Int?) -> [StyledText] {
        var table = Table([
            .init("FROM", minimum: 6), .init("TO", minimum: 6), .init("RPS", alignment: .trailing), .init("OK%", alignment: .trailing),
            .init("P50", alignment: .trailing, dropOrder: 3), .init("P99", alignment: .trailing), .init("TRIES", dropOrder: 2),
            .init("BREAKER", minimum: 8), .init("BUDGET LEFT", dropOrder: 1),
        ])
        for edge in edges {
            table.add([
                StyledText(DisplayWidth.printable(edge.from)), StyledText(DisplayWidth.printable(edge.to)),
                StyledText(rate(edge.rps)), ratio(edge.okRatio), StyledText(milliseconds(edge.p50MS)),
                StyledText(milliseconds(edge.p99MS)), StyledText(edge.tries.map { Quantities.decimal($0, 2) } ?? "-"),
                StyledText(edge.breaker, edge.breaker == "closed" ? nil : edge.breaker == "open" ? .red : .yellow),
                StyledText(edge.budgetLeft.map(Quantities.duration(milliseconds:)) ?? "-"),
            ])
            if let fault = edge.fault { table.addNote(StyledText("  └ fault: \(DisplayWidth.printable(fault))", .yellow)) }
        }
        return table.lines(width: width)
    }

    package static func lines(_ services: [ServiceSignals], width: Int?) -> [StyledText] {
        var table = Table([
            .init("SERVICE", minimum: 6), .init("TIER", dropOrder: 3), .init("RPS", alignment: .trailing),
            .init("OK%", alignment: .trailing), .init("P50", alignment: .trailing), .init("P99", alignment: .trailing),
            .init("TRIES", dropOrder: 2), .init("IN FLIGHT", alignment: .trailing), .init("CALLERS", alignment: .trailing, dropOrder: 1),
        ])
        for service in services {
            table.add([
                StyledText(DisplayWidth.printable(service.service)), StyledText(DisplayWidth.printable(service.tier)),
                StyledText(rate(service.rps)), ratio(service.okRatio), StyledText(milliseconds(service.p50MS)),
                StyledText(milliseconds(service.p99MS)), StyledText(service.tries.map { Quantities.decimal($0, 2) } ?? "-"),
                StyledText(String(service.inFlight)), StyledText(String(service.callers)),
            ])
        }
        return table.lines(width: width)
    }

    package static func lines(_ faults: [FaultStatus], now: Timestamp, width: Int?) -> [StyledText] {
        var table = Table([.init("FROM", minimum: 6), .init("TO", minimum: 6), .init("FAULT", minimum: 12), .init("ENDS")])
        for fault in faults {
            let left = fault.expiresAt.map { max(0, Double($0.nanoseconds - now.nanoseconds) / 1e6) }
            table.add([
                StyledText(DisplayWidth.printable(fault.from)), StyledText(DisplayWidth.printable(fault.to)),
                StyledText(DisplayWidth.printable(fault.what), .yellow),
                StyledText(left.map { "in " + Quantities.duration(milliseconds: $0) } ?? "by mesh.yaml"),
            ])
        }
        return table.lines(width: width)
    }

    /// `212`, `4.5`.
    static func rate(_ rate: Double) -> String { Quantities.decimal(rate, rate > 0 && rate < 9.95 ? 1 : 0) }

    /// `31`, `0.4`: milliseconds without their unit, as the column is known for.
    static func milliseconds(_ value: Double?) -> String {
        value.map { Quantities.decimal($0, $0 < 9.95 && $0 > 0 ? 1 : 0) } ?? "-"
    }

    private static func ratio(_ ratio: Double?) -> StyledText {
        guard let ratio else { return StyledText("-") }
        // 99.96% is not all of them.
        let percent = ratio < 1 ? min(99.9, ratio * 100) : 100
        return StyledText(percent == 100 ? "100" : Quantities.decimal(percent, 1), ratio >= 0.999 ? nil : ratio >= 0.95 ? .yellow : .red)
    }
}
