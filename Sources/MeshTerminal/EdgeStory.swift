package import MeshAdminAPI

/// `mesh why`: how one edge came to be as it is.
package enum EdgeStory {
    /// - Parameter offset: seconds east of UTC of the one who reads.
    package static func lines(_ explanation: EdgeExplanation, now: Timestamp, offset: Int64, width: Int?) -> [StyledText] {
        let edge = explanation.edge
        var lines = [heading(edge)]
        if let fault = edge.fault {
            lines.append(StyledText("fault: \(DisplayWidth.printable(fault)), made on purpose", .yellow))
        }
        lines += explanation.events.map { event($0, now: now, offset: offset) }
        if explanation.events.isEmpty { lines.append(StyledText("no breaker of this edge has opened", .dim)) }
        for (what, counts) in [
            ("refused by the caller", explanation.refusals), ("repeated", explanation.retries),
            ("not repeated", explanation.refusedRetries), ("hedged", explanation.hedges ?? [:]),
            ("not hedged", explanation.refusedHedges ?? [:]),
        ] where !counts.isEmpty {
            let sum = counts.values.reduce(0, +)
            let parts = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value)x \(DisplayWidth.printable($0.key))" }
            lines.append(StyledText("last 10s: \(sum) \(what) (\(parts.joined(separator: ", ")))"))
        }
        if !explanation.endpoints.isEmpty { lines += endpoints(explanation.endpoints, width: width) }
        return lines.map { line in width.map { line.truncated(to: $0) } ?? line }
    }

    private static func heading(_ edge: EdgeStatus) -> StyledText {
        var parts = ["\(EdgeTable.rate(edge.rps))/s"]
        if let ratio = edge.okRatio { parts.append("\(ratio == 1 ? "100" : Quantities.decimal(min(99.9, ratio * 100), 1))% ok") }
        if let p99 = edge.p99MS { parts.append("p99 " + Quantities.duration(milliseconds: p99)) }
        if let tries = edge.tries { parts.append("\(Quantities.decimal(tries, 2)) tries") }
        parts.append("breaker \(edge.breaker)")
        if let limit = edge.limit { parts.append("limit \(Quantities.decimal(limit, 0))") }
        if let throttled = edge.throttled, throttled > 0 { parts.append("\(Quantities.decimal(throttled * 100, 0))% throttled") }
        return StyledText("\(DisplayWidth.printable(edge.from)) -> \(DisplayWidth.printable(edge.to))", .bold)
            + StyledText("   " + parts.joined(separator: " · "))
    }

    /// `breaker opened 12:04:11: 13 of 22 failed in 10s (11x503, 2xtimeout); example 8f3ac1`
    private static func event(_ event: EdgeExplanation.Event, now: Timestamp, offset: Int64) -> StyledText {
        let subject = event.replica ?? event.endpoint.map { String($0.prefix(8)) }
        let isOfBreaker = ["opened", "half-opened", "closed"].contains(event.what)
        var text =
            isOfBreaker ? "breaker\(subject.map { " of \(DisplayWidth.printable($0))" } ?? "")" : DisplayWidth.printable(subject ?? "")
        text += "\(text.isEmpty ? "" : " ")\(DisplayWidth.printable(event.what)) \(Quantities.clock(event.at, now: now, offset: offset))"
        if !isOfBreaker, let reason = event.reason { text += ": \(DisplayWidth.printable(reason))" }
        if let failures = event.failures, let calls = event.calls {
            text += ": \(failures) of \(calls) failed"
            if let seconds = event.windowSeconds { text += " in \(Quantities.decimal(seconds, 0))s" }
            if let reason = event.reason, reason != "failure rate" { text += ", \(DisplayWidth.printable(reason))" }
            if !event.causes.isEmpty {
                let causes = event.causes.prefix(4).map { "\($0.count)x\(DisplayWidth.printable($0.cause))" }
                text += " (\(causes.joined(separator: ", ")))"
            }
        }
        if let id = event.traceID { text += "; example \(DisplayWidth.printable(String(id.prefix(8))))" }
        return StyledText(text, ["opened", "panic began"].contains(event.what) ? .red : event.what == "closed" ? .green : .yellow)
    }

    private static func endpoints(_ endpoints: [EdgeExplanation.Endpoint], width: Int?) -> [StyledText] {
        var table = Table([
            .init("ENDPOINT", minimum: 10), .init("VERSION", dropOrder: 1), .init("BREAKER"), .init("FAILED", alignment: .trailing),
            .init("IN FLIGHT", alignment: .trailing, dropOrder: 2), .init("LATENCY", alignment: .trailing),
        ])
        for endpoint in endpoints {
            table.add([
                StyledText(DisplayWidth.printable(endpoint.replica ?? endpoint.instance)),
                StyledText(DisplayWidth.printable(endpoint.version ?? "-")),
                StyledText(
                    endpoint.draining ? "draining" : endpoint.isEjected == true ? "ejected" : endpoint.breaker,
                    endpoint.breaker == "closed" && endpoint.isEjected != true ? nil : .red),
                StyledText("\(endpoint.failures)/\(endpoint.calls)"), StyledText(String(endpoint.inFlight)),
                StyledText(endpoint.latencyMS.map(Quantities.duration(milliseconds:)) ?? "-"),
            ])
        }
        return table.lines(width: width)
    }
}
