package import MeshModel
import MeshTelemetry

/// The chain of spans that the duration of a trace consists of.
///
/// Walked backwards from the end of the root: what a span waited for last is the child that ended last; before that child
/// began, the one that ended last among the rest; what no child covers is the span's own. A child that outlives its parent
/// counts up to the parent's end only.
///
/// Invariant: the times of all spans on it add up to the root's duration exactly.
package struct CriticalPath: Hashable, Sendable {
    /// By index of the node: how long the path runs in the span itself, not in its children.
    package let own: [Timespan]
    /// By index of the node: how long it runs in the span and all below it.
    package let total: [Timespan]

    package init(_ tree: TraceTree) {
        var own = [Int64](repeating: 0, count: tree.nodes.count)
        if let root = tree.roots.first {
            let span = tree.nodes[root].span
            // (node, from, to): the stretch of the path that the node has to account for.
            var stack = [(root, span.start.nanoseconds, span.end.nanoseconds)]
            while let (index, from, to) = stack.popLast() {
                var reached = to
                let ended = tree.nodes[index].children
                    .map { (index: $0, start: tree.nodes[$0].span.start.nanoseconds, end: tree.nodes[$0].span.end.nanoseconds) }
                    .sorted { $0.end != $1.end ? $0.end > $1.end : $0.start < $1.start }
                for child in Self.walk(ended, from: from, to: to) {
                    own[index] += reached - child.end
                    stack.append((child.index, child.start, child.end))
                    reached = child.start
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
    }

    private typealias Stretch = (index: Int, start: Int64, end: Int64)

    /// The children on the path, last first, cut to `from...to` and to each other. `ended` is in the order of their ends, last first.
    ///
    /// One that had not ended when a later one began still ran then: it counts up to that point.
    private static func walk(_ ended: [Stretch], from: Int64, to: Int64) -> [Stretch] {
        var result: [Stretch] = []
        var reached = to
        for child in ended where child.start < reached && min(child.end, reached) > from && child.end > child.start {
            let start = max(from, child.start)
            let end = min(child.end, reached)
            guard end > start else { continue }
            result.append((child.index, start, end))
            reached = start
        }
        return result
    }
}
