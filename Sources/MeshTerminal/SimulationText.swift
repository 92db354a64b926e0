package import MeshAdminAPI

/// `mesh simulate`: what came of it, alone or beside another file.
package enum SimulationText {
    package static func lines(_ result: SimulationResult, width: Int?) -> [StyledText] {
        summary(result) + [""] + services(result, width: width) + [""] + edges(result, width: width) + first(result)
    }

    /// The second file's figures behind the first's.
    package static func comparison(_ before: SimulationResult, _ after: SimulationResult, width: Int?) -> [StyledText] {
        var table = Table([
            .init("", minimum: 8), .init(shortName(before.file, after.file).0, alignment: .trailing),
            .init(shortName(before.file, after.file).1, alignment: .trailing), .init("CHANGE", alignment: .trailing),
        ])
        func row(_ name: String, _ left: Double?, _ right: Double?, _ text: (Double) -> String, lessIsBetter: Bool) {
            guard left != nil || right != nil else { return }
            var change = StyledText("-")
            if let left, let right {
                let difference = right - left
                let isSame = text(left) == text(right)
                change = StyledText(
                    isSame ? "same" : (difference > 0 ? "+" : "-") + text(abs(difference)),
                    isSame ? nil : (difference < 0) == lessIsBetter ? .green : .red)
            }
            table.add([
                StyledText(DisplayWidth.printable(name)), StyledText(left.map(text) ?? "-"), StyledText(right.map(text) ?? "-"), change,
            ])
        }
        row("ok", before.okRatio, after.okRatio, percent, lessIsBetter: false)
        row("p50", before.p50MS, after.p50MS, Quantities.duration(milliseconds:), lessIsBetter: true)
        row("p99", before.p99MS, after.p99MS, Quantities.duration(milliseconds:), lessIsBetter: true)
        for name in names(before.services.map(\.service), after.services.map(\.service)) {
            let left = before.services.first { $0.service == name }
            let right = after.services.first { $0.service == name }
            row("\(name) arrivals", left?.amplification, right?.amplification, { Quantities.decimal($0, 2) }, lessIsBetter: true)
        }
        for name in names(before.edges.map(edgeName), after.edges.map(edgeName)) {
            let left = before.edges.first { edgeName($0) == name }
            let right = after.edges.first { edgeName($0) == name }
            row("\(name) ok", left?.okRatio, right?.okRatio, percent, lessIsBetter: false)
            row("\(name) p99", left?.p99MS, right?.p99MS, Quantities.duration(milliseconds:), lessIsBetter: true)
        }
        return summary(before) + summary(after) + [""] + table.lines(width: width)
    }

    private static func summary(_ result: SimulationResult) -> [StyledText] {
        var line = StyledText(DisplayWidth.printable(result.file), .bold)
        line.append(
            "  \(result.requests) requests in \(Quantities.decimal(result.seconds, 0))s, seed \(result.seed):"
                + " ")
        line.append("\(percent(result.okRatio)) ok", result.okRatio >= 0.999 ? .green : result.okRatio >= 0.95 ? .yellow : .red)
        if let p50 = result.p50MS { line.append("  p50 \(Quantities.duration(milliseconds: p50))") }
        if let p99 = result.p99MS { line.append("  p99 \(Quantities.duration(milliseconds: p99))") }
        return [line]
    }

    private static func services(_ result: SimulationResult, width: Int?) -> [StyledText] {
        var table = Table([
            .init("SERVICE", minimum: 6), .init("TIER", dropOrder: 1), .init("ARRIVALS", alignment: .trailing),
            .init("PER REQUEST", alignment: .trailing), .init("SHED", alignment: .trailing),
        ])
        for service in result.services {
            table.add([
                StyledText(DisplayWidth.printable(service.service)), StyledText(DisplayWidth.printable(service.tier)),
                StyledText(String(service.arrivals)),
                StyledText(Quantities.decimal(service.amplification, 2), service.amplification > 1.5 ? .red : nil),
                StyledText(service.shedRatio == 0 ? "-" : percent(service.shedRatio), service.shedRatio == 0 ? nil : .yellow),
            ])
        }
        return table.lines(width: width)
    }

    private static func edges(_ result: SimulationResult, width: Int?) -> [StyledText] {
        var table = Table([
            .init("FROM", minimum: 6), .init("TO", minimum: 6), .init("CALLS", alignment: .trailing), .init("OK", alignment: .trailing),
            .init("TRIES", alignment: .trailing), .init("P50", alignment: .trailing, dropOrder: 2), .init("P99", alignment: .trailing),
            .init("REFUSED", dropOrder: 1),
        ])
        for edge in result.edges {
            let refused = edge.refused.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            table.add([
                StyledText(DisplayWidth.printable(edge.from)), StyledText(DisplayWidth.printable(edge.to)), StyledText(String(edge.calls)),
                StyledText(percent(edge.okRatio), edge.okRatio >= 0.999 ? nil : edge.okRatio >= 0.95 ? .yellow : .red),
                StyledText(Quantities.decimal(edge.tries, 2)), StyledText(edge.p50MS.map(Quantities.duration(milliseconds:)) ?? "-"),
                StyledText(edge.p99MS.map(Quantities.duration(milliseconds:)) ?? "-"),
                StyledText(
                    refused.isEmpty ? "-" : refused.map { "\($0.value)x \(DisplayWidth.printable($0.key))" }.joined(separator: ", ")),
            ])
        }
        return table.lines(width: width)
    }

    private static func first(_ result: SimulationResult) -> [StyledText] {
        guard !result.first.isEmpty else { return ["", StyledText("nothing broke", .green)] }
        return [""]
            + result.first.prefix(6).enumerated().map { index, event in
                StyledText(index == 0 ? "broke first  " : "then         ", index == 0 ? .bold : .dim)
                    + StyledText(
                        "\(Quantities.decimal(event.at, 2))s  \(DisplayWidth.printable(event.from)) -> \(DisplayWidth.printable(event.to)): "
                            + DisplayWidth.printable(event.what))
            }
    }

    private static func percent(_ ratio: Double) -> String {
        // 99.96% is not all of them.
        ratio >= 1 ? "100%" : ratio == 0 ? "0%" : Quantities.decimal(min(99.9, max(0.1, ratio * 100)), 1) + "%"
    }

    private static func edgeName(_ edge: SimulationResult.Edge) -> String { "\(edge.from) -> \(edge.to)" }

    private static func names(_ left: [String], _ right: [String]) -> [String] { left + right.filter { !left.contains($0) } }

    /// The files' names, with as much of their folders as tells them apart.
    private static func shortName(_ left: String, _ right: String) -> (String, String) {
        func parts(_ path: String) -> [Substring] { path.split(separator: "/") }
        let (leftParts, rightParts) = (parts(left), parts(right))
        for count in 1...max(1, max(leftParts.count, rightParts.count)) {
            let names = (leftParts.suffix(count).joined(separator: "/"), rightParts.suffix(count).joined(separator: "/"))
            if names.0 != names.1 { return (DisplayWidth.printable(names.0), DisplayWidth.printable(names.1)) }
        }
        return ("BEFORE", "AFTER")
    }
}
