package import MeshModel
package import MeshTelemetry

/// How far the clocks of the hosts of one trace are apart, as its own hops tell.
///
/// A served request lies within the attempt that sent it: its begin is not before the attempt's, its end not after. Each hop
/// between two clocks so gives a lowest and a highest offset; all hops of a pair together give the stretch that they share. Its
/// middle is the estimate, half its length the error. Spans that read the same clock are never moved against each other.
package struct ClockOffsets: Hashable, Sendable {
    package struct Estimate: Hashable, Sendable {
        /// To be added to what the clock said, so that it fits the clock of the root.
        package var offset: Timespan
        /// The true offset is no further away, as far as the hops do not contradict each other.
        package var error: Timespan
        /// Whose spans read that clock.
        package var services: [String]

        package init(offset: Timespan, error: Timespan, services: [String]) {
            self.offset = offset
            self.error = error
            self.services = services
        }
    }

    /// By clock; that of the root is not in it, nor one that no hop connects with it.
    package let estimates: [UInt64: Estimate]

    private struct Bounds {
        var lowest: [Int64] = []
        var highest: [Int64] = []

        /// The middle and half the length of what all have in common; where they contradict each other, of what lies between.
        var estimate: (offset: Int64, error: Int64)? {
            guard let low = lowest.max(), let high = highest.min() else { return nil }
            return (low + (high - low) / 2, abs(high - low) / 2)
        }

        mutating func add(_ parent: DecodedSpan, _ child: DecodedSpan) {
            lowest.append(parent.start.nanoseconds - child.start.nanoseconds)
            highest.append(parent.end.nanoseconds - child.end.nanoseconds)
        }
    }

    package init(_ tree: TraceTree) {
        guard let root = tree.root, tree.nodes.contains(where: { $0.span.origin.clock != root.span.origin.clock }) else {
            estimates = [:]
            return
        }
        var bounds: [UInt64: [UInt64: Bounds]] = [:]
        for node in tree.nodes {
            guard let parent = node.parent.map({ tree.nodes[$0].span }), parent.origin.clock != node.span.origin.clock,
                // One that was given up bounds nothing: the caller was gone before the end.
                node.span.duration <= parent.duration
            else { continue }
            bounds[parent.origin.clock, default: [:]][node.span.origin.clock, default: Bounds()].add(parent, node.span)
        }
        var found: [UInt64: Estimate] = [:]
        var reached = [root.span.origin.clock]
        while let clock = reached.popLast() {
            let base = found[clock] ?? Estimate(offset: .zero, error: .zero, services: [])
            func place(_ other: UInt64, _ offset: Int64, _ error: Int64) {
                guard other != root.span.origin.clock, found[other] == nil else { return }
                found[other] = Estimate(offset: base.offset + .nanoseconds(offset), error: base.error + .nanoseconds(error), services: [])
                reached.append(other)
            }
            for (other, pair) in bounds[clock] ?? [:] {
                if let (offset, error) = pair.estimate { place(other, offset, error) }
            }
            // The same hop the other way round.
            for (other, pairs) in bounds {
                if let (offset, error) = pairs[clock]?.estimate { place(other, -offset, error) }
            }
        }
        for node in tree.nodes {
            let (clock, service) = (node.span.origin.clock, node.span.origin.service)
            if found[clock]?.services.contains(service) == false { found[clock]?.services.append(service) }
        }
        estimates = found
    }

    /// The spans where they fit, durations untouched.
    package func placing(_ spans: [DecodedSpan]) -> [DecodedSpan] {
        guard !estimates.isEmpty else { return spans }
        return spans.map { span in
            guard let estimate = estimates[span.origin.clock] else { return span }
            var placed = span
            placed.start = UnixTime(nanoseconds: span.start.nanoseconds &+ estimate.offset.nanoseconds)
            return placed
        }
    }
}
