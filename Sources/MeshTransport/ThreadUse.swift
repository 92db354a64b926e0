internal import CMeshSystem
internal import MeshModel

/// What a thread did for a while, as the kernel counts it.
struct ThreadUse: Hashable {
    var processor: Timespan
    /// How often it waited for something.
    var waits: Int
    /// How often the kernel gave its processor to somebody else.
    var preemptions: Int

    /// Of the calling thread, since it began; a system call.
    static func sinceBeginning() -> ThreadUse {
        let use = mesh_thread_use()
        return ThreadUse(
            processor: Timespan(nanoseconds: use.cpu_nanoseconds), waits: Int(use.waits), preemptions: Int(use.preemptions))
    }

    /// What was done after `earlier`.
    func since(_ earlier: ThreadUse) -> ThreadUse {
        ThreadUse(
            processor: processor - earlier.processor, waits: waits - earlier.waits, preemptions: preemptions - earlier.preemptions)
    }
}
