import MeshModel

/// The traces that spans came for lately: where each is stored and what is known of it, so that late spans find it without a
/// query.
///
/// Invariant: holds the last `generation` traces touched and at most twice as many: when the young half is full, the old one is
/// forgotten.
struct TraceIndex {
    struct Entry {
        var partition: PartitionName
        var row: Int64
        var chunks: Int64
        var digest: TraceDigest
    }

    private let generation: Int
    private var young: [TraceID: Entry] = [:]
    private var old: [TraceID: Entry] = [:]

    init(generation: Int) { self.generation = generation }

    var count: Int { young.count + old.count }

    subscript(_ id: TraceID) -> Entry? { young[id] ?? old[id] }

    mutating func insert(_ entry: Entry, for id: TraceID) {
        old[id] = nil
        young[id] = entry
        if young.count >= generation {
            old = young
            young = [:]
        }
    }

    mutating func removeAll() {
        young = [:]
        old = [:]
    }
}
