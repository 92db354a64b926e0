/// Finds the route of a request: the most specific pattern that fits, then the one with a method.
///
/// From left to right a literal segment goes before `*`, and `*` before `**`; so an exact pattern goes before every prefix,
/// and a longer prefix before a shorter one (as in the Gateway API). Of two routes with one pattern, the one that names the
/// request's method goes first; where a pattern fits and no method does, less specific patterns are asked.
///
/// A trie whose edges lie in one hash table: the cost of a look-up is that of the path's segments, whatever the number of
/// routes. A look-up allocates nothing. Paths come without query, in normal form.
package struct Router: Sendable {
    /// An edge of the trie; a literal segment's bytes lie in `bytes`.
    private struct Edge: Sendable {
        var parent: Int32
        var child: Int32
        var start: Int32
        var length: Int32
    }

    private struct Node: Sendable {
        var wildcard: Int32 = -1
        /// Routes that end here, those with a method first.
        var exact: [Leaf] = []
        /// Routes that end here in `**`.
        var prefix: [Leaf] = []
    }

    private struct Leaf: Sendable {
        /// nil for any.
        var method: [UInt8]?
        var route: Int
    }

    private var nodes = [Node()]
    private var edges: [Edge] = []
    private var bytes: [UInt8] = []
    /// Open addressing with linear probing; indices into `edges`, -1 where free. At most half full.
    private var table: [Int32] = []

    package typealias Entry = (method: String?, pattern: RoutePattern)

    /// The index of an entry is what `match` answers. Of two entries alike in pattern and method, the first one rules.
    package init(_ entries: [Entry]) {
        var children: [EdgeKey: Int32] = [:]
        for (route, entry) in entries.enumerated() {
            var node = 0
            for segment in entry.pattern.segments { node = descend(from: node, by: segment, children: &children) }
            let leaf = Leaf(method: entry.method.map { Array($0.utf8) }, route: route)
            if entry.pattern.isPrefix {
                Self.insert(leaf, into: &nodes[node].prefix)
            } else {
                Self.insert(leaf, into: &nodes[node].exact)
            }
        }
        buildTable()
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
            edges.append(Edge(parent: Int32(node), child: child, start: Int32(bytes.count), length: Int32(literal.count)))
            bytes.append(contentsOf: literal)
            return Int(child)
        }
    }

    private mutating func newNode() -> Int32 {
        nodes.append(Node())
        return Int32(nodes.count - 1)
    }

    private static func insert(_ leaf: Leaf, into leaves: inout [Leaf]) {
        let firstAny = leaves.firstIndex { $0.method == nil } ?? leaves.endIndex
        leaves.insert(leaf, at: leaf.method == nil ? leaves.endIndex : firstAny)
    }

    private mutating func buildTable() {
        var capacity = 8
        while capacity < edges.count * 2 { capacity *= 2 }
        table = [Int32](repeating: -1, count: capacity)
        for (index, edge) in edges.enumerated() {
            let hash = bytes.withUnsafeBytes { bytes in
                Self.hash(
                    parent: edge.parent,
                    UnsafeRawBufferPointer(rebasing: bytes[Int(edge.start)..<Int(edge.start + edge.length)]))
            }
            var position = Int(truncatingIfNeeded: hash) & (capacity - 1)
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
    private func search(node: Int, from: Int, method: UnsafeRawBufferPointer, path: UnsafeRawBufferPointer) -> Int? {
        guard from <= path.count else {
            return Self.route(nodes[node].exact, method: method) ?? Self.route(nodes[node].prefix, method: method)
        }
        var end = from
        while end < path.count, path[end] != UInt8(ascii: "/") { end += 1 }
        let segment = UnsafeRawBufferPointer(rebasing: path[from..<end])
        if let child = child(of: node, by: segment), let route = search(node: child, from: end + 1, method: method, path: path) {
            return route
        }
        let wildcard = nodes[node].wildcard
        if wildcard >= 0, !segment.isEmpty, let route = search(node: Int(wildcard), from: end + 1, method: method, path: path) {
            return route
        }
        return Self.route(nodes[node].prefix, method: method)
    }

    private func child(of node: Int, by segment: UnsafeRawBufferPointer) -> Int? {
        let mask = table.count - 1
        var position = Int(truncatingIfNeeded: Self.hash(parent: Int32(truncatingIfNeeded: node), segment)) & mask
        while table[position] >= 0 {
            let edge = edges[Int(table[position])]
            if Int(edge.parent) == node, Int(edge.length) == segment.count, equals(segment, from: Int(edge.start)) {
                return Int(edge.child)
            }
            position = (position + 1) & mask
        }
        return nil
    }

    private func equals(_ segment: UnsafeRawBufferPointer, from start: Int) -> Bool {
        for index in 0..<segment.count where segment[index] != bytes[start + index] { return false }
        return true
    }

    private static func route(_ leaves: [Leaf], method: UnsafeRawBufferPointer) -> Int? {
        for leaf in leaves {
            guard let wanted = leaf.method else { return leaf.route }
            if wanted.count == method.count, wanted.elementsEqual(method) { return leaf.route }
        }
        return nil
    }

    /// FNV-1a over the segment, begun with the parent node, and mixed at the end since the table takes its low bits.
    private static func hash(parent: Int32, _ segment: UnsafeRawBufferPointer) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ (UInt64(UInt32(bitPattern: parent)) &* 0x9e37_79b9_7f4a_7c15)
        for byte in segment { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return hash ^ (hash >> 32)
    }
}
