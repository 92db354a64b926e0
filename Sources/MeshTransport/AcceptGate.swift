internal import MeshEventLoop
internal import Synchronization

/// Keeps the connections that clients have open within a limit, by accepting no more: who comes then waits in the kernel's queue.
///
/// The limit is the snapshot's, and what the descriptors of the process leave room for, so that they do not run out. While it is
/// reached the listening sockets are not watched, until a connection ends: waiting costs nothing.
/// Invariant: everything but `connectionClosed` runs on one event loop, that of all listeners, which alone counts up; so the limit is never passed.
final class AcceptGate: StreamListenerObserver, @unchecked Sendable {
    /// Connections that are accepted in one go.
    static let batch = 64

    private let loop: LoopEntrance
    private let descriptors: Int
    private let memory = FreedMemory()
    private let openCount = Atomic<Int>(0)
    private let isPaused = Atomic<Bool>(false)
    private var limit: Int
    private var listeners: [ObjectIdentifier: StreamListener] = [:]
    private var currentBatch: Int

    /// - Parameters:
    ///   - limit: nil for none but that of the descriptors.
    ///   - descriptors: what the process may have open for clients.
    init(loop: LoopEntrance, limit: Int?, descriptors: Int = DescriptorLimit.forClients) {
        self.loop = loop
        self.descriptors = descriptors
        self.limit = min(limit ?? .max, descriptors)
        currentBatch = max(1, min(Self.batch, self.limit))
    }

    /// Connections that clients have open.
    var open: Int { openCount.load(ordering: .relaxed) }

    /// Takes another limit; connections above it stay.
    func limitChanged(to limit: Int?) {
        self.limit = min(limit ?? .max, descriptors)
        batchEnded()
        if open < self.limit { resume() } else { pause() }
    }

    func listenerOpened(_ listener: StreamListener) {
        listeners[ObjectIdentifier(listener)] = listener
        listener.batch = currentBatch
        listener.setPaused(isPaused.load(ordering: .relaxed))
        if open >= limit { pause() }
    }

    func listenerClosed(_ listener: StreamListener) { listeners[ObjectIdentifier(listener)] = nil }

    func accepted(by listener: StreamListener) {
        let open = openCount.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
        memory.rose(to: open)
        if open >= limit { pause() }
    }

    func batchEnded(of listener: StreamListener) { batchEnded() }

    /// The next batch may hold what is left.
    private func batchEnded() { setBatch(max(1, min(Self.batch, limit - open))) }

    /// Any thread.
    func connectionClosed() {
        let open = openCount.wrappingSubtract(1, ordering: .sequentiallyConsistent).newValue
        memory.fell(to: open)
        if isPaused.load(ordering: .sequentiallyConsistent) { loop.execute { [self] in resume() } }
    }

    private func pause() {
        guard !isPaused.exchange(true, ordering: .sequentiallyConsistent) else { return }
        setListening(false)
        // A connection that ended just before did not see the pause.
        if openCount.load(ordering: .sequentiallyConsistent) < limit { resume() }
    }

    private func resume() {
        guard open < limit, isPaused.exchange(false, ordering: .sequentiallyConsistent) else { return }
        batchEnded()
        setListening(true)
    }

    private func setListening(_ listens: Bool) {
        for listener in listeners.values { listener.setPaused(!listens) }
    }

    private func setBatch(_ batch: Int) {
        guard batch != currentBatch else { return }
        currentBatch = batch
        for listener in listeners.values { listener.batch = batch }
    }
}
