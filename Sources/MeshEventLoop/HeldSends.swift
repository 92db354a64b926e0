internal import CMeshSystem
internal import NIOCore

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// Sends that go to the kernel by the same call as the wait for what comes next.
///
/// Who sends wakes who receives, and the scheduler lets that one run at once: the sender is interrupted a few instructions before it would
/// have slept, waits as one that could run, and is as often as not taken to another processor, whose caches know nothing of it. A send that
/// is made by the call that sleeps can't be interrupted so. Only what a turn does last is held, so that nothing waits for other work.
///
/// It takes io_uring; without it nothing is held. Invariants: a channel has at most one send here; its order among the channel's other
/// writes, and before its end, is the channel's to keep, by `submit`.
struct HeldSends: ~Copyable {
    private var ring: OpaquePointer?
    /// By the place that the ring gave.
    private var channels: [StreamChannel] = []
    /// What is being done is the last of its turn.
    var isOpen = false

    init() {}

    deinit {
        if let ring { mesh_ring_destroy(ring) }
    }

    /// On the thread that will use it, and no other.
    mutating func begin() { ring = mesh_ring_create() }

    var isEmpty: Bool { channels.isEmpty }

    /// Whether the send is held: there is nothing left to do for it, unless `submit` or `wait` hands it back.
    mutating func hold(_ bytes: ByteBuffer, for channel: StreamChannel) -> Bool {
        guard isOpen, let place = place(bytes.readableBytes) else { return false }
        Self.copy(bytes, to: place)
        hold(bytes.readableBytes, for: channel)
        return true
    }

    /// Two pieces as one.
    mutating func hold(_ first: ByteBuffer, _ second: ByteBuffer, for channel: StreamChannel) -> Bool {
        let count = first.readableBytes + second.readableBytes
        guard isOpen, let place = place(count) else { return false }
        Self.copy(first, to: place)
        Self.copy(second, to: place + first.readableBytes)
        hold(count, for: channel)
        return true
    }

    private func place(_ count: Int) -> UnsafeMutablePointer<UInt8>? {
        guard let ring, count > 0, count <= Int(MESH_RING_CAPACITY) else { return nil }
        return mesh_ring_place(ring)
    }

    private static func copy(_ bytes: ByteBuffer, to place: UnsafeMutablePointer<UInt8>) {
        bytes.withUnsafeReadableBytes { bytes in
            if let start = bytes.baseAddress { memcpy(place, start, bytes.count) }
        }
    }

    private mutating func hold(_ count: Int, for channel: StreamChannel) {
        channels.append(channel)
        channel.hasHeldSend = true
        mesh_ring_hold(ring!, channel.descriptor, count)
    }

    /// Hands over what is held; returns what the sockets did not take, which is for the caller to give back.
    mutating func submit() -> [Unsent] {
        guard !channels.isEmpty, let ring else { return [] }
        return ended(unsent: mesh_ring_submit(ring))
    }

    /// Hands over what is held, and sleeps until `epoll` has something to tell. May return early.
    mutating func submitAndWait(for epoll: CInt) -> [Unsent] {
        guard !channels.isEmpty, let ring else { return [] }
        return ended(unsent: mesh_ring_submit_and_wait(ring, epoll))
    }

    /// What is left of a send: its channel meets what stood in the way when it tries again.
    struct Unsent {
        let channel: StreamChannel
        let bytes: ByteBuffer
    }

    private mutating func ended(unsent count: Int) -> [Unsent] {
        var left: [Unsent] = []
        for (place, channel) in channels.enumerated() {
            channel.hasHeldSend = false
            guard count > 0, let ring else { continue }
            var length = 0
            let bytes = mesh_ring_unsent(ring, place, &length)
            if length > 0 { left.append(Unsent(channel: channel, bytes: ByteBuffer(bytes: UnsafeBufferPointer(start: bytes, count: length)))) }
        }
        channels.removeAll(keepingCapacity: true)
        return left
    }
}
