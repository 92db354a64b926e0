internal import NIOCore

/// Something that is due at some time; done or failed once.
///
/// Invariant: touched on its loop only.
final class LoopTimer {
    let due: NIODeadline
    fileprivate var order: UInt64 = 0
    /// Where it stands in the heap; nil where it does not.
    fileprivate var index: Int?
    private(set) var isCancelled = false
    private var work: (() -> Void)?
    private var failed: ((any Error) -> Void)?

    init(due: NIODeadline, _ work: @escaping () -> Void, failed: @escaping (any Error) -> Void) {
        self.due = due
        self.work = work
        self.failed = failed
    }

    func fire() {
        let work = work
        cancel()
        work?()
    }

    func fail(_ error: any Error) {
        let failed = failed
        cancel()
        failed?(error)
    }

    /// Lets go of what it holds, also where it is on its way to the heap.
    fileprivate func cancel() {
        isCancelled = true
        work = nil
        failed = nil
    }
}

/// The timers of a loop: the next one at hand, any of them removed at the cost of the heap's height.
///
/// Those that are due at the same time fire in the order in which they were set.
struct TimerHeap {
    private var timers: [LoopTimer] = []
    private var count: UInt64 = 0

    var isEmpty: Bool { timers.isEmpty }
    var next: NIODeadline? { timers.first?.due }

    mutating func insert(_ timer: LoopTimer) {
        guard !timer.isCancelled else { return }
        count &+= 1
        timer.order = count
        timer.index = timers.count
        timers.append(timer)
        rise(timers.count - 1)
    }

    mutating func cancel(_ timer: LoopTimer) {
        timer.cancel()
        if let index = timer.index { remove(at: index) }
    }

    /// The next one that is due at `now`, taken out.
    mutating func popDue(now: NIODeadline) -> LoopTimer? {
        guard let first = timers.first, first.due <= now else { return nil }
        remove(at: 0)
        return first
    }

    mutating func removeAll() -> [LoopTimer] {
        let all = timers.sorted(by: Self.isBefore)
        for timer in all { timer.index = nil }
        timers = []
        return all
    }

    private static func isBefore(_ one: LoopTimer, _ other: LoopTimer) -> Bool {
        one.due < other.due || one.due == other.due && one.order < other.order
    }

    private mutating func remove(at index: Int) {
        timers[index].index = nil
        let last = timers.removeLast()
        guard index < timers.count else { return }
        timers[index] = last
        last.index = index
        sink(index)
        rise(index)
    }

    private mutating func rise(_ start: Int) {
        var index = start
        while index > 0, Self.isBefore(timers[index], timers[(index - 1) / 2]) {
            swap(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private mutating func sink(_ start: Int) {
        var index = start
        while true {
            var least = index
            for child in 2 * index + 1...2 * index + 2 where child < timers.count {
                if Self.isBefore(timers[child], timers[least]) { least = child }
            }
            guard least != index else { return }
            swap(index, least)
            index = least
        }
    }

    private mutating func swap(_ one: Int, _ other: Int) {
        timers.swapAt(one, other)
        timers[one].index = one
        timers[other].index = other
    }
}
