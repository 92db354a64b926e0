/// What the router looks at in a request, but for its header fields. The bytes belong to the caller.
package struct RouteSubject {
    package var method: UnsafeRawBufferPointer
    /// Without query, in normal form.
    package var path: UnsafeRawBufferPointer
    package var query: UnsafeRawBufferPointer
    /// Without port; empty where the request names none.
    package var host: UnsafeRawBufferPointer

    package init(
        method: UnsafeRawBufferPointer, path: UnsafeRawBufferPointer, query: UnsafeRawBufferPointer? = nil,
        host: UnsafeRawBufferPointer? = nil
    ) {
        self.method = method
        self.path = path
        self.query = query ?? UnsafeRawBufferPointer(start: nil, count: 0)
        self.host = host ?? UnsafeRawBufferPointer(start: nil, count: 0)
    }
}

/// Finds the route of a request: the most specific that fits, in the order of precedence of the Gateway API.
///
/// 1. The host: one that is named goes before `*.`, a longer `*.` before a shorter one, any of them before none.
/// 2. The path, from left to right: a literal segment goes before `*`, and `*` before `**`; so an exact pattern goes before every
///    prefix, and a longer prefix before a shorter one.
/// 3. The method: one that is named goes before any.
/// 4. More header fields before fewer. 5. More query parameters before fewer. 6. What was said first.
///
/// Where something fits and what comes after it does not, what is less specific is asked.
///
/// A forest of tries, one for each host, whose edges lie in one hash table: the cost of a look-up is that of the host's labels and
/// the path's segments, whatever the number of routes. A look-up allocates nothing.
package struct Router: Sendable {
    /// An edge of a trie, by a literal segment or a host, which lies in `bytes`.
    private struct Edge: Sendable, BitwiseCopyable {
        var parent: Int32
        var child: Int32
        var text: TextRange
    }

    private struct TextRange: Sendable, BitwiseCopyable {
        var start: Int32
        var count: Int32
    }

    private struct Node: Sendable, BitwiseCopyable {
        var wildcard: Int32 = -1
        var hasLiterals = false
        /// Routes that end here: in `leaves`, the most specific first.
        var exact = LeafRange()
        /// Routes that end here in `**`.
        var prefix = LeafRange()
    }

    private struct LeafRange: Sendable, BitwiseCopyable {
        var start: Int32 = 0
        var end: Int32 = 0
    }

    private struct Leaf: Sendable, BitwiseCopyable {
        /// Empty for any.
        var method: TextRange
        /// In `conditions`: header fields, then query parameters.
        var conditions: Int32
        var fieldCount: Int32
        var queryCount: Int32
        var route: Int32
    }

    private struct Condition: Sendable, BitwiseCopyable {
        var name: TextRange
        var value: TextRange
    }

    /// Parents of the edges that lead from a host to its trie; the trie for all hosts begins at node 0.
    private static let hostParent: Int32 = -1
    private static let suffixParent: Int32 = -2

    private var nodes = [Node()]
    private var edges: [Edge] = []
    private var leaves: [Leaf] = []
    private var conditions: [Condition] = []
    /// Literal segments, hosts, methods, names and values.
    private var bytes: [UInt8] = []
    /// Open addressing with linear probing; indices into `edges`, -1 where free. At most half full.
    private var table: [Int32] = []
    private(set) var hasHosts = false
    /// Of the `*.` host with the most labels; 0 where there is none.
    private var suffixLabels = 0

    package struct Entry: Sendable {
        package var method: String?
        package var pattern: RoutePattern
        package var conditions: RouteConditions

        package init(method: String? = nil, pattern: RoutePattern, conditions: RouteConditions = RouteConditions()) {
            self.method = method
            self.pattern = pattern
            self.conditions = conditions
        }
    }

    /// The index of an entry is what `match` answers. Of two entries alike, the first one rules.
    package init(_ entries: [Entry]) {
        var children: [EdgeKey: Int32] = [:]
        var ends: [(exact: [Int], prefix: [Int])] = []
        for (route, entry) in entries.enumerated() {
            var node = root(of: entry.conditions.host, children: &children)
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
        let sorted = routes.sorted { left, right in
            let (first, second) = (entries[left], entries[right])
            if (first.method == nil) != (second.method == nil) { return first.method != nil }
            let (one, other) = (first.conditions, second.conditions)
            if one.fields.count != other.fields.count { return one.fields.count > other.fields.count }
            if one.query.count != other.query.count { return one.query.count > other.query.count }
            return left < right
        }
        for route in sorted {
            let entry = entries[route]
            leaves.append(
                Leaf(
                    method: add(entry.method ?? ""), conditions: Int32(conditions.count), fieldCount: Int32(entry.conditions.fields.count),
                    queryCount: Int32(entry.conditions.query.count), route: Int32(route)))
            for condition in entry.conditions.fields + entry.conditions.query {
                conditions.append(Condition(name: add(condition.name), value: add(condition.value)))
            }
        }
        return LeafRange(start: start, end: Int32(leaves.count))
    }

    private mutating func add(_ text: some StringProtocol) -> TextRange { add(Array(text.utf8)) }

    private mutating func add(_ text: [UInt8]) -> TextRange {
        defer { bytes.append(contentsOf: text) }
        return TextRange(start: Int32(bytes.count), count: Int32(text.count))
    }

    private struct EdgeKey: Hashable {
        var parent: Int32
        var text: [UInt8]
    }

    private mutating func root(of host: String?, children: inout [EdgeKey: Int32]) -> Int {
        guard let host = host?.lowercased() else { return 0 }
        hasHosts = true
        guard host.hasPrefix("*.") else { return child(of: Self.hostParent, by: Array(host.utf8), children: &children) }
        let suffix = host.dropFirst(2)
        suffixLabels = max(suffixLabels, suffix.split(separator: ".").count)
        return child(of: Self.suffixParent, by: Array(suffix.utf8), children: &children)
    }

    private mutating func descend(from node: Int, by segment: RoutePattern.Segment, children: inout [EdgeKey: Int32]) -> Int {
        switch segment {
        case .any:
            if nodes[node].wildcard < 0 { nodes[node].wildcard = newNode() }
            return Int(nodes[node].wildcard)
        case .literal(let literal):
            nodes[node].hasLiterals = true
            return child(of: Int32(node), by: literal, children: &children)
        }
    }

    private mutating func child(of parent: Int32, by text: [UInt8], children: inout [EdgeKey: Int32]) -> Int {
        let key = EdgeKey(parent: parent, text: text)
        if let child = children[key] { return Int(child) }
        let child = newNode()
        children[key] = child
        edges.append(Edge(parent: parent, child: child, text: add(text)))
        return Int(child)
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
            var hash = TextHash(parent: edge.parent)
            for byte in bytes[Int(edge.text.start)..<Int(edge.text.start + edge.text.count)] { hash.add(byte) }
            var position = Int(truncatingIfNeeded: hash.value) & (capacity - 1)
            while table[position] >= 0 { position = (position + 1) & (capacity - 1) }
            table[position] = Int32(index)
        }
    }

    // MARK: Look-up

    /// The route of a request; nil where none fits.
    ///
    /// - Parameter hasField: whether a line of a header field is exactly a value; asked only where routes have such conditions.
    package func match(
        _ subject: RouteSubject, hasField: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool = { _, _ in false }
    ) -> Int? {
        guard subject.path.first == UInt8(ascii: "/") else { return nil }
        if hasHosts, !subject.host.isEmpty, let route = matchByHost(subject, hasField) { return route }
        return search(node: 0, from: 1, subject, hasField)
    }

    private typealias FieldQuestion = (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Bool

    private func matchByHost(_ subject: RouteSubject, _ hasField: FieldQuestion) -> Int? {
        let host = subject.host
        if let root = child(of: Self.hostParent, byHostFrom: 0, host), let route = search(node: root, from: 1, subject, hasField) {
            return route
        }
        guard suffixLabels > 0 else { return nil }
        var labels = 1
        for byte in host where byte == UInt8(ascii: ".") { labels += 1 }
        for index in 0..<host.count where host[index] == UInt8(ascii: ".") {
            labels -= 1
            guard labels <= suffixLabels, let root = child(of: Self.suffixParent, byHostFrom: index + 1, host) else { continue }
            if let route = search(node: root, from: 1, subject, hasField) { return route }
        }
        return nil
    }

    private func child(of parent: Int32, byHostFrom start: Int, _ host: UnsafeRawBufferPointer) -> Int? {
        var hash = TextHash(parent: parent)
        for index in start..<host.count { hash.add(lowercase(host[index])) }
        return child(of: parent, hash) { text in
            guard host.count - start == Int(text.count) else { return false }
            for offset in 0..<Int(text.count) where lowercase(host[start + offset]) != bytes[Int(text.start) + offset] { return false }
            return true
        }
    }

    /// The best route below a node whose path so far fits; `from` is where the next segment begins, past the end for none.
    ///
    /// Every node is looked at once at most: there is one way to it, and its depth says which segment is meant.
    private func search(node index: Int, from: Int, _ subject: RouteSubject, _ hasField: FieldQuestion) -> Int? {
        let node = nodes[index]
        let path = subject.path
        guard from <= path.count else { return route(node.exact, subject, hasField) ?? route(node.prefix, subject, hasField) }
        if node.hasLiterals || node.wildcard >= 0 {
            let parent = Int32(truncatingIfNeeded: index)
            var hash = TextHash(parent: parent)
            var end = from
            while end < path.count, path[end] != UInt8(ascii: "/") {
                hash.add(path[end])
                end += 1
            }
            if node.hasLiterals, let child = child(of: parent, hash, where: { equals(path, from, end, $0) }),
                let route = search(node: child, from: end + 1, subject, hasField)
            {
                return route
            }
            if node.wildcard >= 0, end > from, let route = search(node: Int(node.wildcard), from: end + 1, subject, hasField) {
                return route
            }
        }
        return route(node.prefix, subject, hasField)
    }

    @inline(__always)
    private func child(of parent: Int32, _ hash: TextHash, where isMeant: (TextRange) -> Bool) -> Int? {
        let mask = table.count - 1
        var position = Int(truncatingIfNeeded: hash.value) & mask
        while table[position] >= 0 {
            let edge = edges[Int(table[position])]
            if edge.parent == parent, isMeant(edge.text) { return Int(edge.child) }
            position = (position + 1) & mask
        }
        return nil
    }

    private func equals(_ text: UnsafeRawBufferPointer, _ start: Int, _ end: Int, _ other: TextRange) -> Bool {
        guard end - start == Int(other.count) else { return false }
        for offset in 0..<Int(other.count) where text[start + offset] != bytes[Int(other.start) + offset] { return false }
        return true
    }

    private func route(_ range: LeafRange, _ subject: RouteSubject, _ hasField: FieldQuestion) -> Int? {
        for index in Int(range.start)..<Int(range.end) {
            let leaf = leaves[index]
            guard leaf.method.count == 0 || equals(subject.method, 0, subject.method.count, leaf.method) else { continue }
            if leaf.fieldCount + leaf.queryCount == 0 || meetsConditions(leaf, subject, hasField) { return Int(leaf.route) }
        }
        return nil
    }

    @inline(never)
    private func meetsConditions(_ leaf: Leaf, _ subject: RouteSubject, _ hasField: FieldQuestion) -> Bool {
        bytes.withUnsafeBytes { bytes in
            func text(_ range: TextRange) -> UnsafeRawBufferPointer {
                UnsafeRawBufferPointer(rebasing: bytes[Int(range.start)..<Int(range.start + range.count)])
            }
            let firstQuery = Int(leaf.conditions + leaf.fieldCount)
            for index in Int(leaf.conditions)..<firstQuery where !hasField(text(conditions[index].name), text(conditions[index].value)) {
                return false
            }
            for index in firstQuery..<firstQuery + Int(leaf.queryCount) {
                let condition = conditions[index]
                guard QueryString(subject.query).firstValue(of: text(condition.name), is: text(condition.value)) else { return false }
            }
            return true
        }
    }
}

private func lowercase(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

/// FNV-1a over a text, begun with the parent node, and mixed at the end since the table takes its low bits.
private struct TextHash {
    private var state: UInt64

    init(parent: Int32) { state = 0xcbf2_9ce4_8422_2325 ^ (UInt64(UInt32(bitPattern: parent)) &* 0x9e37_79b9_7f4a_7c15) }

    @inline(__always) mutating func add(_ byte: UInt8) { state = (state ^ UInt64(byte)) &* 0x100_0000_01b3 }

    var value: UInt64 { state ^ (state >> 32) }
}
