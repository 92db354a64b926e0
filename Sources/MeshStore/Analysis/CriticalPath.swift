package import MeshModel
import MeshTelemetry

/// The chain of spans that the duration of a trace consists of; docs/critical-path.md defines it and works it on examples.
///
/// Walked backwards from the end of the root: what a span waited for last is the awaited child that ended last; before that
/// child began, the one that had ended last by then; what no child covers is the span's own.
///
/// Invariant: the times of all spans on it add up to the root's duration exactly.
package struct CriticalPath: Hashable, Sendable {
    /// By index of the node: how long the path runs in the span itself, not in its children.
    package let own: [Timespan]
    /// By index of the node: how long it runs in the span and all below it.
    package let total: [Timespan]
    /// By index of the node: when the path is in the span or below it; nil for one that nothing waited for.
    package let stretches: [Stretch?]

    package struct Stretch: Hashable, Sendable {
        package var start: UnixTime
        package var end: UnixTime
    }

    /// The order in which one process reads its clock for two spans that end together is no order of events.
    private static let sameMoment: Int64 = 1_000_000

    package init(_ tree: TraceTree) {
        var own = [Int64](repeating: 0, count: tree.nodes.count)
        var stretches = [Stretch?](repeating: nil, count: tree.nodes.count)
        if let root = tree.roots.first {
            let span = tree.nodes[root].span
            // (node, from, to): the stretch of the path that the node has to account for.
            var stack = [(root, span.start.nanoseconds, span.end.nanoseconds)]
            while let (index, from, to) = stack.popLast() {
                stretches[index] = Stretch(start: UnixTime(nanoseconds: from), end: UnixTime(nanoseconds: to))
                var reached = to
                for child in Self.awaited(index, in: tree, until: to) {
                    // One that still ran when a later one began was not what that one waited for.
                    guard child.until <= reached, child.until > from else { continue }
                    let start = max(from, child.start)
                    own[index] += reached - child.until
                    stack.append((child.index, start, child.until))
                    reached = start
                }
                own[index] += reached - from
            }
        }
        var total = own
        // Children stand after their parents.
        for index in tree.nodes.indices.reversed() {
            if let parent = tree.nodes[index].parent { total[parent] += total[index] }
        }
        self.own = own.map { .nanoseconds($0) }
        self.total = total.map { .nanoseconds($0) }
        self.stretches = stretches
    }

    private struct Child {
        var index: Int
        var start: Int64
        var end: Int64
        /// Up to when it can be what its parent waited for.
        var until: Int64
    }

    /// The children that the parent waited for, the last first.
    private static func awaited(_ index: Int, in tree: TraceTree, until cut: Int64) -> [Child] {
        let node = tree.nodes[index]
        let end = node.span.end.nanoseconds
        let losers = node.span.kind == .call ? lostAttempts(node, tree) : [:]
        var result: [Child] = []
        result.reserveCapacity(node.children.count)
        for position in node.children {
            let span = tree.nodes[position].span
            // A copy of a request: its answer is thrown away.
            if span.isTrue(.mirror) { continue }
            var child = Child(index: position, start: span.start.nanoseconds, end: span.end.nanoseconds, until: 0)
            if child.end > end, !isHop(node.span, span), child.end - end > sameMoment { continue }
            child.until = min(child.end, cut, losers[position] ?? .max)
            if child.until > child.start { result.append(child) }
        }
        return result.sorted {
            if $0.until != $1.until { return $0.until > $1.until }
            // Of those that ran when the parent was given up, it would have waited for the last.
            return $0.end != $1.end ? $0.end > $1.end : $0.start < $1.start
        }
    }

    /// Whether the parent waits for the child by what it is: a call for its attempts, an attempt for the one who serves it.
    /// Anything else that outlives its parent in the same process goes on without it.
    private static func isHop(_ parent: DecodedSpan, _ child: DecodedSpan) -> Bool {
        switch parent.kind {
        case .call, .attempt, .gateway: true
        case .server, .backoff, .queue, .rejection, .internal: parent.origin.clock != child.origin.clock
        }
    }

    /// Attempts that another one of the same call overtook (hedges), with the end of their use: the begin of the one that won,
    /// since that was sent for want of their answer.
    private static func lostAttempts(_ call: TraceTree.Node, _ tree: TraceTree) -> [Int: Int64] {
        let attempts = call.children.filter { tree.nodes[$0].span.kind == .attempt }
        guard attempts.count > 1 else { return [:] }
        func isAnswered(_ index: Int) -> Bool { tree.nodes[index].span.integer(.httpResponseStatusCode) != nil }
        var lost: [Int: Int64] = [:]
        for loser in attempts {
            let span = tree.nodes[loser].span
            // Also of one that failed first, and left the call to the other.
            let winner = attempts.first { other in
                let rival = tree.nodes[other].span
                return other != loser && isAnswered(other) && rival.start < span.end && span.start < rival.end
                    && (!isAnswered(loser) || rival.end > span.end)
            }
            if let winner { lost[loser] = tree.nodes[winner].span.start.nanoseconds }
        }
        return lost
    }
}
