internal import CMeshSystem
internal import Dispatch
internal import Synchronization

/// Gives memory back to the system when many connections have gone.
///
/// What they held lies in small pieces between pieces of others, so that the allocator keeps it, and a crowd that came once would be
/// seen in the size of the process for ever. Any thread may tell it.
final class FreedMemory: Sendable {
    /// So many connections, and a quarter of them, must have gone.
    static let leastFall = 256
    /// How long it waits for others that go too.
    private static let delay = DispatchTimeInterval.seconds(1)

    private let peak = Atomic<Int>(0)
    private let current = Atomic<Int>(0)
    private let isDue = Atomic<Bool>(false)
    private let release: @Sendable () -> Void

    init(release: @escaping @Sendable () -> Void = FreedMemory.trim) { self.release = release }

    func rose(to count: Int) {
        current.store(count, ordering: .relaxed)
        if count > peak.load(ordering: .relaxed) { peak.store(count, ordering: .relaxed) }
    }

    func fell(to count: Int) {
        current.store(count, ordering: .relaxed)
        let peak = peak.load(ordering: .relaxed)
        guard peak - count >= Self.leastFall, count <= peak / 4 * 3, !isDue.exchange(true, ordering: .relaxed) else { return }
        DispatchQueue.global(qos: .utility).asyncAfter(deadline: .now() + Self.delay) { [self] in
            isDue.store(false, ordering: .relaxed)
            self.peak.store(current.load(ordering: .relaxed), ordering: .relaxed)
            release()
        }
    }

    private static let trim: @Sendable () -> Void = {
        #if canImport(Glibc)
            malloc_trim(0)
        #endif
    }
}
