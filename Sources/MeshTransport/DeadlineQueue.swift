internal import MeshModel

/// Something on an event loop that has one timer at most.
///
/// Setting the timer later, or off, touches nothing but `due`: the entry in the queue stays where it is and is moved when
/// its old time comes. A busy connection that sets a deadline for every request so enters the queue about once per deadline.
///
/// Invariant: it is touched on its own loop only; that it can be sent is for the closures that bring it there.
class LoopTimed: @unchecked Sendable {
    /// When `timerFired` is wanted; `.distantFuture` means never.
    fileprivate(set) final var due = Instant.distantFuture
    /// Where the entry stands in the queue; -1 without one.
    fileprivate final var position = -1

    init() {}

    /// Called on the loop, once, at `due` or a little later; the timer is off by then.
    func timerFired(now: Instant) {}

    /// The loop is about to end, and its timers with it.
    func loopEnds() {}
}

/// The timers of one event loop: a binary heap over the earliest of them, driven by one scheduled task.
///
/// Invariant: an entry's time is never later than its owner's `due`, so no timer is missed.
struct DeadlineQueue {
    private struct Entry {
        var time: Instant
        var owner: LoopTimed
    }

    private var heap: [Entry] = []

    init() {}

    /// When `fire` has to be called next; nil when nothing waits.
    var next: Instant? { heap.first?.time }
    var count: Int { heap.count }
    /// Those who have an entry, be their timers on or off.
    var owners: [LoopTimed] { heap.map(\.owner) }

    /// Sets the timer of `owner`, replacing the one that it had.
    mutating func set(_ owner: LoopTimed, due: Instant) {
        owner.due = due
        if owner.position < 0 {
            guard due != .distantFuture else { return }
            owner.position = heap.count
            heap.append(Entry(time: due, owner: owner))
            rise(owner.position)
        } else if due < heap[owner.position].time {
            heap[owner.position].time = due
            rise(owner.position)
        }
    }

    /// Takes `owner` out altogether, so that it can be freed before its time.
    mutating func remove(_ owner: LoopTimed) {
        owner.due = .distantFuture
        let index = owner.position
        guard index >= 0 else { return }
        owner.position = -1
        let last = heap.removeLast()
        guard index < heap.count else { return }
        heap[index] = last
        last.owner.position = index
        rise(index)
        sink(last.owner.position)
    }

    /// Switches all timers off.
    mutating func removeAll() {
        for entry in heap {
            entry.owner.due = .distantFuture
            entry.owner.position = -1
        }
        heap = []
    }

    /// The owner of a timer that is due at `now`, with its timer turned off; nil when there is none.
    ///
    /// Call until nil. Entries whose owners have moved their time away are put right on the way.
    mutating func popDue(now: Instant) -> LoopTimed? {
        while let first = heap.first, first.time <= now {
            let owner = first.owner
            if owner.due <= now {
                remove(owner)
                return owner
            }
            if owner.due == .distantFuture {
                remove(owner)
            } else {
                heap[0].time = owner.due
                sink(0)
            }
        }
        return nil
    }

    private mutating func rise(_ start: Int) {
        var index = start
        let entry = heap[index]
        while index > 0 {
            let parent = (index - 1) >> 1
            guard entry.time < heap[parent].time else { break }
            heap[index] = heap[parent]
            heap[index].owner.position = index
            index = parent
        }
        heap[index] = entry
        entry.owner.position = index
    }

    private mutating func sink(_ start: Int) {
        var index = start
        let entry = heap[index]
        while true {
            var child = 2 * index + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].time < heap[child].time { child += 1 }
            guard heap[child].time < entry.time else { break }
            heap[index] = heap[child]
            heap[index].owner.position = index
            index = child
        }
        heap[index] = entry
        entry.owner.position = index
    }
}
