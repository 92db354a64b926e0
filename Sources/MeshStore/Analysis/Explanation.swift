import MeshModel
import MeshTelemetry

/// How a trace stands against others, as far as enough others are known.
package struct TraceComparison: Hashable, Sendable {
    /// The share (0...1) of other traces of the route that were faster.
    package var slowerThan: Double?
    /// By service: the share (0...1) of its answers that were faster than its slowest in this trace.
    package var services: [String: Double]

    package init(slowerThan: Double? = nil, services: [String: Double] = [:]) {
        self.slowerThan = slowerThan
        self.services = services
    }
}

extension TraceAnalysis {
    /// The `why:` line: what a person should look at, in the order of its weight. Every part is a fact of this trace or of the
    /// comparison; what is not known is left out.
    package func explanation(_ comparison: TraceComparison = TraceComparison()) -> String {
        guard let root = tree.root?.span else { return "no spans" }
        var parts: [String] = []
        if isDetached {
            parts.append("detached work" + (root.links.first.map { ", begun in trace \($0.traceID.description.prefix(8))" } ?? ""))
        }
        if let failure { parts.append(failure) }
        if !isComplete {
            parts.append("incomplete: \(missing[0]) is missing" + (missing.count > 1 ? " and \(missing.count - 1) more" : ""))
        }
        if let fault { parts.append(fault) }
        if let rank = comparison.slowerThan {
            parts.append(
                rank >= 1
                    ? "slower than every other trace of this route"
                    : rank >= 0.5 ? "slower than \(percent(rank)) of this route" : "faster than \(percent(1 - rank)) of this route")
        }
        if retryCost > .zero { parts.append("retries cost \(milliseconds(retryCost)) (\(share(retryCost)))") }
        if let largest = services.first, largest.time > .zero, duration > .zero {
            var part = "\(largest.name)"
            if largest.name == root.origin.service, services.count > 1 { part += " itself" }
            part += " took \(milliseconds(largest.time)) (\(share(largest.time)))"
            if let rank = comparison.services[largest.name], rank >= 0.9 { part += ", at its own p\(Int(min(0.99, rank) * 100))" }
            if overhead > largest.time {
                parts.append("mesh and wire took \(milliseconds(overhead)) (\(share(overhead)))")
            }
            parts.append(part)
        }
        return parts.isEmpty ? "nothing stands out" : parts.joined(separator: "; ")
    }

    /// Who failed first, where the trace as a whole failed: down from the root along the last child in error.
    private var failure: String? {
        guard let first = tree.roots.first, isFailure(tree.nodes[first].span) else { return nil }
        var index = first
        while let next = tree.nodes[index].children.last(where: { isFailure(tree.nodes[$0].span) }) { index = next }
        let span = tree.nodes[index].span
        let who = span.text(.destination) ?? span.origin.service
        var what: [String] = []
        if let status = span.integer(.httpResponseStatusCode) { what.append("\(status)") }
        if let flag = span.text(.flag) { what.append(flag) }
        if let cause = span.text(.cause) { what.append(cause) }
        if what.isEmpty, let type = span.text(.errorType) { what.append(type) }
        return "failed at \(who)" + (what.isEmpty ? "" : ": " + what.joined(separator: " "))
    }

    /// Trouble that somebody made on purpose is the first thing to know.
    private var fault: String? {
        guard let (span, fault) = tree.nodes.lazy.compactMap({ node in node.span[.fault].map { (node.span, $0) } }).first else {
            return nil
        }
        let target = span.text(.destination).map { "\(span.origin.service) -> \($0)" } ?? span.origin.service
        // A true says only that there was one.
        return fault == .bool(true) ? "a fault was injected at \(target)" : "a fault was injected at \(target): \(fault)"
    }

    private func isFailure(_ span: DecodedSpan) -> Bool { span.status == .error }

    private func share(_ time: Timespan) -> String {
        duration > .zero ? "\(Int((time.seconds / duration.seconds * 100).rounded()))%" : "0%"
    }

    private func percent(_ share: Double) -> String {
        let tenths = Int((share * 1_000).rounded(.down))
        return tenths % 10 == 0 ? "\(tenths / 10)%" : "\(tenths / 10).\(tenths % 10)%"
    }

    private func milliseconds(_ time: Timespan) -> String {
        let value = time.seconds * 1_000
        if value >= 10 || value == 0 { return "\(Int(value.rounded()))ms" }
        let hundredths = Int((value * 100).rounded())
        let (whole, rest) = hundredths.quotientAndRemainder(dividingBy: 100)
        if rest % 10 == 0 { return rest == 0 ? "\(whole)ms" : "\(whole).\(rest / 10)ms" }
        return "\(whole).\(rest < 10 ? "0" : "")\(rest)ms"
    }
}
