internal import Synchronization

/// The shared memory of one process: all its rings, as the process writes them and the daemon reads them, after a crash too.
///
/// Layout, version 1, in the byte order of the host, which is the same for both:
///
///     0     u64 "MESHSPAN"    8  u32 version    12  u32 rings    16  u32 open spans of a ring    24  u64 bytes of a ring
///     4096  one block for each ring:
///           0     u64 tail, 8 u64 drops, 16 u64 alarm: the writer's       64  u64 head: the reader's
///           4096  the spans that are open (`OpenSpanSlot`), in whole pages
///           then  the bytes of the ring
///
/// Invariant: `head <= tail <= head + capacity`; a reader checks that, and all that it reads, since a crash can leave anything.
struct SpanSegment {
    static let magic: UInt64 = 0x4e41_5053_4853_454d
    static let version: UInt32 = 1
    static let page = 4096
    /// No process has more loops than that, and no reader maps more.
    static let mostRings = 1024
    static let longestRing = 1 << 30

    let memory: SharedMemory
    let rings: Int
    let capacity: Int
    let openSpans: Int

    /// - Parameter capacity: of one ring, in bytes; rounded up to a power of two.
    init(rings: Int, capacity: Int, openSpans: Int) throws(SharedMemoryError) {
        var rounded = Self.page
        while rounded < capacity { rounded <<= 1 }
        self.rings = min(max(rings, 1), Self.mostRings)
        self.capacity = rounded
        self.openSpans = max(0, openSpans)
        let block = Self.blockLength(capacity: rounded, openSpans: self.openSpans)
        memory = try SharedMemory(name: "mesh-spans", count: Self.page + self.rings * block)
        memory.base.storeBytes(of: UInt32(self.rings), toByteOffset: 12, as: UInt32.self)
        memory.base.storeBytes(of: UInt32(self.openSpans), toByteOffset: 16, as: UInt32.self)
        memory.base.storeBytes(of: UInt64(rounded), toByteOffset: 24, as: UInt64.self)
        memory.base.storeBytes(of: Self.version, toByteOffset: 8, as: UInt32.self)
        memory.base.storeBytes(of: Self.magic, as: UInt64.self)
    }

    /// Reads what another process says of itself.
    init(mapping descriptor: Int32) throws(SpanSegmentError) {
        do { memory = try SharedMemory(descriptor: descriptor) } catch { throw .unusable("\(error)") }
        guard memory.count >= Self.page, memory.base.load(as: UInt64.self) == Self.magic else { throw .unusable("no memory of spans") }
        let version = memory.base.load(fromByteOffset: 8, as: UInt32.self)
        guard version == Self.version else { throw .unknownVersion(version) }
        let rings = Int(memory.base.load(fromByteOffset: 12, as: UInt32.self))
        let openSpans = Int(memory.base.load(fromByteOffset: 16, as: UInt32.self))
        let capacity = memory.base.load(fromByteOffset: 24, as: UInt64.self)
        guard (1...Self.mostRings).contains(rings), openSpans <= 1 << 16, capacity >= UInt64(Self.page),
            capacity <= UInt64(Self.longestRing),
            capacity & (capacity - 1) == 0,
            memory.count >= Self.page + rings * Self.blockLength(capacity: Int(capacity), openSpans: openSpans)
        else { throw .unusable("sizes that do not fit together") }
        self.rings = rings
        self.openSpans = openSpans
        self.capacity = Int(capacity)
    }

    private static func blockLength(capacity: Int, openSpans: Int) -> Int { page + openPages(openSpans) + capacity }
    private static func openPages(_ count: Int) -> Int { (count * OpenSpanSlot.length + page - 1) / page * page }

    private func block(_ ring: Int) -> UnsafeMutableRawPointer {
        precondition((0..<rings).contains(ring))
        return memory.base + Self.page + ring * Self.blockLength(capacity: capacity, openSpans: openSpans)
    }

    func control(_ ring: Int) -> SpanRingControl { SpanRingControl(base: block(ring)) }
    func openSlots(_ ring: Int) -> UnsafeMutableRawPointer { block(ring) + Self.page }
    func storage(_ ring: Int) -> UnsafeMutableRawPointer { block(ring) + Self.page + Self.openPages(openSpans) }
}

/// Why memory that a process handed over is not read.
package enum SpanSegmentError: Error, Hashable, CustomStringConvertible {
    case unknownVersion(UInt32)
    case unusable(String)

    package var description: String {
        switch self {
        case .unknownVersion(let version): "span memory of version \(version) is not understood: update the daemon"
        case .unusable(let reason): "span memory can't be read: \(reason)"
        }
    }
}

/// The words by which the two ends of a ring agree; those of the writer and that of the reader lie on cache lines of their own.
struct SpanRingControl {
    private let base: UnsafeMutableRawPointer

    init(base: UnsafeMutableRawPointer) { self.base = base }

    var tail: UnsafeMutablePointer<Atomic<Int>> { base.assumingMemoryBound(to: Atomic<Int>.self) }
    var drops: UnsafeMutablePointer<Atomic<UInt64>> { (base + 8).assumingMemoryBound(to: Atomic<UInt64>.self) }
    /// 1 from when the writer called the reader until the reader came.
    var alarm: UnsafeMutablePointer<Atomic<UInt64>> { (base + 16).assumingMemoryBound(to: Atomic<UInt64>.self) }
    var head: UnsafeMutablePointer<Atomic<Int>> { (base + 64).assumingMemoryBound(to: Atomic<Int>.self) }
}
