package import MeshModel
package import MeshTelemetry

/// The spans of one trace as a tree, in the order in which a person reads it: each parent before its children, siblings by
/// their starts.
///
/// Invariant: every distinct span id of the input stands in it exactly once; one whose parent is unknown is a root, and a cycle
/// is cut where it is met.
package struct TraceTree: Hashable, Sendable {
    package struct Node: Hashable, Sendable {
        package var span: DecodedSpan
        package var depth: Int
        /// Index of the parent's node.
        package var parent: Int?
        /// Indices of the children's nodes, by their starts.
        package var children: [Int]
    }

    package let nodes: [Node]
    /// Indices of the nodes without parent node, the trace's own root first.
    package let roots: [Int]

    package init(_ spans: [DecodedSpan]) {
        // A batch that came twice brings the same spans again.
        var seen = Set<SpanID>()
        let distinct = spans.filter { seen.insert($0.spanID).inserted }.sorted(by: Self.precedes)
        let position = Dictionary(uniqueKeysWithValues: distinct.enumerated().map { ($1.spanID, $0) })
        var children = [[Int]](repeating: [], count: distinct.count)
        var starts: [Int] = []
        for (index, span) in distinct.enumerated() {
            if let parent = span.parent, let above = position[parent], above != index {
                children[above].append(index)
            } else {
                starts.append(index)
            }
        }
        // The true root first, then what lost its parent.
        starts.sort { left, right in
            let ranks = [left, right].map { Self.rank(distinct[$0]) }
            return ranks[0] != ranks[1] ? ranks[0] < ranks[1] : left < right
        }
        var nodes: [Node] = []
        var roots: [Int] = []
        var placed = [Bool](repeating: false, count: distinct.count)
        func place(from start: Int) {
            guard !placed[start] else { return }
            roots.append(nodes.count)
            var stack: [(index: Int, parent: Int?, depth: Int)] = [(start, nil, 0)]
            while let (index, parent, depth) = stack.popLast() {
                guard !placed[index] else { continue }
                placed[index] = true
                let place = nodes.count
                nodes.append(Node(span: distinct[index], depth: depth, parent: parent, children: []))
                if let parent { nodes[parent].children.append(place) }
                for child in children[index].reversed() { stack.append((child, place, depth + 1)) }
            }
        }
        for start in starts { place(from: start) }
        // What is left are cycles, which no process of ours makes but a stranger may.
        for index in distinct.indices { place(from: index) }
        self.nodes = nodes
        self.roots = roots
    }

    package var root: Node? { roots.first.map { nodes[$0] } }

    /// The spans whose parent should be here and is not.
    package var orphans: [Node] { roots.dropFirst(isRooted ? 1 : 0).map { nodes[$0] }.filter { $0.span.parent != nil } }

    /// Whether the first root began the trace, or came in by the gateway.
    package var isRooted: Bool { root.map { Self.rank($0.span) < 2 } ?? false }

    private static func rank(_ span: DecodedSpan) -> Int { span.parent == nil ? 0 : span.kind == .gateway ? 1 : 2 }

    private static func precedes(_ left: DecodedSpan, _ right: DecodedSpan) -> Bool {
        if left.start != right.start { return left.start < right.start }
        if left.duration != right.duration { return left.duration > right.duration }
        return left.spanID.value < right.spanID.value
    }

    /// A node's duration less the time in which any child ran.
    package func selfTime(of index: Int) -> Timespan {
        let node = nodes[index]
        let (start, end) = (node.span.start, node.span.end)
        var covered: Int64 = 0
        var reached = start.nanoseconds
        for child in node.children {
            let from = max(reached, nodes[child].span.start.nanoseconds)
            let to = min(end.nanoseconds, nodes[child].span.end.nanoseconds)
            if to > from {
                covered += to - from
                reached = to
            }
        }
        return .nanoseconds(node.span.duration.nanoseconds - covered)
    }
}
