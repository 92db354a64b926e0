internal import MeshModel
internal import Synchronization

/// Work for a loop. What its own thread hands over runs there without ever leaving it.
struct LoopTask: @unchecked Sendable {
    let run: () -> Void

    init(_ run: @escaping () -> Void) { self.run = run }
}

/// What other threads hand over to a loop, and whether it must be woken for that.
///
/// Invariant: what was taken is seen by the loop before it sleeps, and nothing is taken after `end` has returned true.
/// The order of the two flags holds it: a thread says that there is something and then looks whether the loop sleeps; the loop says that
/// it sleeps and then looks whether there is something.
struct Mailbox: ~Copyable {
    struct Content {
        var tasks: [LoopTask] = []
        var isEnded = false
    }

    private let content = Guarded(Content())
    private let hasMail = Atomic<Bool>(false)
    private let isAsleep = Atomic<Bool>(false)

    enum Delivery {
        case taken
        /// The loop sleeps, and nobody else wakes it.
        case mustWake
        case refused
    }

    /// Any thread.
    func deliver(_ task: LoopTask) -> Delivery {
        let isTaken = content.withLock { content in
            guard !content.isEnded else { return false }
            content.tasks.append(task)
            return true
        }
        guard isTaken else { return .refused }
        hasMail.store(true, ordering: .sequentiallyConsistent)
        guard isAsleep.load(ordering: .sequentiallyConsistent), isAsleep.exchange(false, ordering: .sequentiallyConsistent) else {
            return .taken
        }
        return .mustWake
    }

    // MARK: The loop's thread

    /// Whether the loop may sleep now; else there is something for it.
    func fallAsleep() -> Bool {
        isAsleep.store(true, ordering: .sequentiallyConsistent)
        guard hasMail.load(ordering: .sequentiallyConsistent) else { return true }
        awake()
        return false
    }

    func awake() { isAsleep.store(false, ordering: .relaxed) }

    /// What has come since the last time.
    func collect() -> [LoopTask] {
        guard hasMail.load(ordering: .acquiring) else { return [] }
        hasMail.store(false, ordering: .sequentiallyConsistent)
        return content.withLock { content in
            let tasks = content.tasks
            content.tasks = []
            return tasks
        }
    }

    /// Takes nothing more, unless something has come that must be done before.
    func end() -> Bool {
        content.withLock { content in
            content.isEnded = content.tasks.isEmpty
            return content.isEnded
        }
    }
}
