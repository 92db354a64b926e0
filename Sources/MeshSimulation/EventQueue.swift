package import MeshModel

/// What is to happen, by time; of one instant, in the order in which it was scheduled.
///
/// A binary heap of keys; the events lie beside it and do not move. Invariant: time never runs backwards.
package struct EventQueue<Event> {
    private var heap: [EventKey] = []
    private var events: [Event?] = []
    private var vacant: [Int] = []
    private var order: UInt64 = 0
    package private(set) var now: Instant

    package init(now: Instant = .zero) { self.now = now }

    package var isEmpty: Bool { heap.isEmpty }

    /// What should have happened already happens now.
    package mutating func schedule(_ event: Event, at instant: Instant) {
        order += 1
        let place = vacant.popLast() ?? events.count
        if place == events.count { events.append(event) } else { events[place] = event }
        heap.append(EventKey(at: max(instant, now), order: order, place: place))
        heap.siftUp()
    }

    package mutating func schedule(_ event: Event, after span: Timespan) { schedule(event, at: now + span) }

    /// Takes the next event out, and moves the time to it.
    package mutating func next() -> Event? {
        guard let first = heap.first else { return nil }
        heap.removeFirstOfHeap()
        now = first.at
        vacant.append(first.place)
        return events[first.place].take()
    }
}

private struct EventKey {
    var at: Instant
    var order: UInt64
    var place: Int

    static func < (left: EventKey, right: EventKey) -> Bool {
        left.at.nanoseconds == right.at.nanoseconds ? left.order < right.order : left.at.nanoseconds < right.at.nanoseconds
    }
}

extension [EventKey] {
    fileprivate mutating func siftUp() {
        var child = count - 1
        let key = self[child]
        while child > 0 {
            let parent = (child - 1) / 2
            guard key < self[parent] else { break }
            self[child] = self[parent]
            child = parent
        }
        self[child] = key
    }

    fileprivate mutating func removeFirstOfHeap() {
        let key = removeLast()
        guard !isEmpty else { return }
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < count else { break }
            if child + 1 < count, self[child + 1] < self[child] { child += 1 }
            guard self[child] < key else { break }
            self[parent] = self[child]
            parent = child
        }
        self[parent] = key
    }
}
