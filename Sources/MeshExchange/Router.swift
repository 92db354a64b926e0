/// Finds the route of a request: the most specific pattern that fits, then the one with a method.
///
/// From left to right a literal segment goes before `*`, and `*` before `**`; so an exact pattern goes before every prefix,
/// and a longer prefix before a shorter one (as in the Gateway API). Of two routes with one pattern, the one that names the
/// request's method goes first; where a pattern fits and no method does, less specific patterns are asked.
///
/// A trie whose edges lie in one hash table: the cost of a look-up is that of the path's segments, whatever the number of
/// routes. A look-up allocates nothing. Paths come without query, in normal form.
package struct Router: Sendable {
    /// An edge of the trie, by a literal segment, which lies in `bytes`.
    private struct Edge: Sendable, BitwiseCopyable {
        var parent: Int32
        var child: Int32
        var start: Int32
        var length: Int32
    }

    private struct Node: Sendable, BitwiseCopyable {
        var wildcard: Int32 = -1
        var hasLiterals = false
        /// Routes that end here: in `leaves`, those with a method first.
        var exact = LeafRange()
        /// Routes that end here in `**`.
        var prefix = LeafRange()
    }

    private struct LeafRange: Sendable, BitwiseCopyable {
        var start: Int32 = 0
        var end: Int32 = 0
    }

    private struct Leaf: Sendable, BitwiseCopyable {
        /// In `bytes`; the length is negative for any method.
        var methodStart: Int32
        var methodLength: Int32
        var route: Int32
    }

    private var nodes = [Node()]
    private var edges: [Edge] = []
    private var leaves: [Leaf] = []
    /// Literal segments, and methods.
    private var bytes: [UInt8] = []
    /// Open addressing with linear probing; indices into `edges`, -1 where free. At most half full.
    private var table: [Int32] = []

    package typealias Entry = (method: String?, pattern: RoutePattern)

    /// The index of an entry is what `match` answers. Of two entries alike in pattern and method, the first one rules.
    package init(_ entries: [Entry]) {
        var children: [EdgeKey: Int32] = [:]
        var ends: [(exact: [Int], prefix: [Int])] = [([], [])]
        for (route, entry) in entries.enumerated() {
            var node = 0
            for segment in entry.pattern.segments { node = descend(from: node, by: segment, children: &children) }
            while ends.count < nodes.count { ends.append(([], [])) }
            if entry.pattern.isPrefix { ends[node].prefix.append(route) } else { ends[node].exact.append(route) }
        }
        for (node, end) in ends.enumerated() {
            nodes[node].exact = addLeaves(end.exact, entries)
            nodes[node].prefix = addLeaves(end.prefix, entries)
        }
        buildTable()
    }

    private mutating func addLeaves(_ routes: [Int], _ entries: [Entry]) -> LeafRange {
        let start = Int32(leaves.count)
        for route in routes.filter({ entries[$0].method != nil }) + routes.filter({ entries[$0].method == nil }) {
            let method = entries[route].method
            leaves.append(
                Leaf(methodStart: Int32(bytes.count), methodLength: method.map { Int32($0.utf8.count) } ?? -1, route: Int32(route)))
            bytes.append(contentsOf: (method ?? "").utf8)
        }
        return LeafRange(start: start, end: Int32(leaves.count))
    }

    private struct EdgeKey: Hashable {
        var node: Int
        var segment: [UInt8]
    }

    private mutating func descend(from node: Int, by segment: RoutePattern.Segment, children: inout [EdgeKey: Int32]) -> Int {
        switch segment {
        case .any:
            if nodes[node].wildcard < 0 { nodes[node].wildcard = newNode() }
            return Int(nodes[node].wildcard)
        case .literal(let literal):
            let key = EdgeKey(node: node, segment: literal)
            if let child = children[key] { return Int(child) }
            let child = newNode()
            children[key] = child
            nodes[node].hasLiterals = true
            edges.append(Edge(parent: Int32(node), child: child, start: Int32(bytes.count), length: Int32(literal.count)))
            bytes.append(contentsOf: literal)
            return Int(child)
        }
    }

    private mutating func newNode() -> Int32 {
        nodes.append(Node())
        return Int32(nodes.count - 1)
    }

    private mutating func buildTable() {
        var capacity = 8
        while capacity < edges.count * 2 { capacity *= 2 }
        table = [Int32](repeating: -1, count: capacity)
        for (index, edge) in edges.enumerated() {
            var hash = SegmentHash(parent: edge.parent)
            for byte in bytes[Int(edge.start)..<Int(edge.start + edge.length)] { hash.add(byte) }
            var position = Int(truncatingIfNeeded: hash.value) & (capacity - 1)
            while table[position] >= 0 { position = (position + 1) & (capacity - 1) }
            table[position] = Int32(index)
        }
    }

    // MARK: Look-up

    /// The route of a request; nil where none fits.
    package func match(method: UnsafeRawBufferPointer, path: UnsafeRawBufferPointer) -> Int? {
        guard path.first == UInt8(ascii: "/") else { return nil }
        return search(node: 0, from: 1, method: method, path: path)
    }

    /// The best route below a node whose path so far fits; `from` is where the next segment begins, past the end for none.
    ///
    /// Every node is looked at once at most: there is one way to it, and its depth says which segment is meant.
    private func search(node index: Int, from: Int, method: UnsafeRawBufferPointer, path: UnsafeRawBufferPointer) -> Int? {
        let node = nodes[index]
        guard from <= path.count else { return route(node.exact, method: method) ?? route(node.prefix, method: method) }
        if node.hasLiterals || node.wildcard >= 0 {
            var hash = SegmentHash(parent: Int32(truncatingIfNeeded: index))
            var end = from
            while end < path.count, path[end] != UInt8(ascii: "/") {
                hash.add(path[end])
                end += 1
            }
            if node.hasLiterals, let child = child(of: index, by: path, from, end, hash),
                let route = search(node: child, from: end + 1, method: method, path: path)
            {
                return route
            }
            if node.wildcard >= 0, end > from,
                let route = search(node: Int(node.wildcard), from: end + 1, method: method, path: path)
            {
                return route
            }
        }
        return route(node.prefix, method: method)
    }

    private func child(of node: Int, by path: UnsafeRawBufferPointer, _ start: Int, _ end: Int, _ hash: SegmentHash) -> Int? {
        let mask = table.count - 1
        var position = Int(truncatingIfNeeded: hash.value) & mask
        while table[position] >= 0 {
            let edge = edges[Int(table[position])]
            if Int(edge.parent) == node, equals(path, start, end, bytesFrom: edge.start, length: edge.length) { return Int(edge.child) }
            position = (position + 1) & mask
        }
        return nil
    }

    private func equals(_ text: UnsafeRawBufferPointer, _ start: Int, _ end: Int, bytesFrom: Int32, length: Int32) -> Bool {
        guard end - start == Int(length) else { return false }
        for offset in 0..<Int(length) where text[start + offset] != bytes[Int(bytesFrom) + offset] { return false }
        return true
    }

    private func route(_ range: LeafRange, method: UnsafeRawBufferPointer) -> Int? {
        for index in Int(range.start)..<Int(range.end) {
            let leaf = leaves[index]
            if leaf.methodLength < 0 || equals(method, 0, method.count, bytesFrom: leaf.methodStart, length: leaf.methodLength) {
                return Int(leaf.route)
            }
        }
        return nil
    }
}

/// FNV-1a over a segment, begun with the parent node, and mixed at the end since the table takes its low bits.
private struct SegmentHash {
    private var state: UInt64

    init(parent: Int32) { state = 0xcbf2_9ce4_8422_2325 ^ (UInt64(UInt32(bitPattern: parent)) &* 0x9e37_79b9_7f4a_7c15) }

    @inline(__always) mutating func add(_ byte: UInt8) { state = (state ^ UInt64(byte)) &* 0x100_0000_01b3 }

    var value: UInt64 { state ^ (state >> 32) }
}
