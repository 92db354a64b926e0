internal import CMeshSystem
internal import Glibc
package import MeshModel

/// One thread that waits for all descriptors of supervision: shims, process ends, probes.
///
/// Invariant: at most one wait per descriptor at a time; `forget` comes before `close`, so that a reused number is never awaited.
package final class Reactor: Sendable {
    package enum Interest: Sendable { case readable, writable }
    package enum Outcome: Sendable { case ready, timedOut, forgotten }

    private struct Wait {
        var number: UInt64
        var deadline: Instant
        var continuation: CheckedContinuation<Outcome, Never>
    }
    private struct Waits {
        var byDescriptor: [Int32: Wait] = [:]
        var known: Set<Int32> = []
        var counter: UInt64 = 0
        /// No deadline is before it; that of a wait that has ended may have been.
        var threadWakesAt = Instant.distantFuture
    }

    package static let shared = Reactor()

    private let poller: Int32
    private let bell: Int32
    private let waits = Guarded(Waits())

    private init() {
        poller = epoll_create1(Int32(EPOLL_CLOEXEC))
        bell = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        precondition(poller >= 0 && bell >= 0, "no descriptor left for supervision: raise `ulimit -n`")
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(fd: bell))
        epoll_ctl(poller, EPOLL_CTL_ADD, bell, &event)
        var thread = pthread_t()
        let started = pthread_create(
            &thread, nil,
            { context in
                Unmanaged<Reactor>.fromOpaque(context!).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        precondition(started == 0, "no thread left for supervision: raise `ulimit -u`")
        pthread_detach(thread)
    }

    /// Waits until a descriptor is readable or writable; a hang-up counts as both.
    package nonisolated(nonsending) func wait(
        _ descriptor: Int32, for interest: Interest, until deadline: Instant = .distantFuture
    ) async -> Outcome {
        let number = waits.withLock { waits in
            waits.counter += 1
            return waits.counter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                begin(descriptor, interest, Wait(number: number, deadline: deadline, continuation: continuation))
            }
        } onCancel: {
            end(descriptor, number: number, with: .forgotten)
        }
    }

    /// Ends a wait and lets the descriptor be closed.
    package func forget(_ descriptor: Int32) {
        let wait = waits.withLock { waits in
            if waits.known.remove(descriptor) != nil { epoll_ctl(poller, EPOLL_CTL_DEL, descriptor, nil) }
            return waits.byDescriptor.removeValue(forKey: descriptor)
        }
        wait?.continuation.resume(returning: .forgotten)
    }

    private func begin(_ descriptor: Int32, _ interest: Interest, _ wait: Wait) {
        guard !Task.isCancelled else { return wait.continuation.resume(returning: .forgotten) }
        let events = (interest == .readable ? EPOLLIN.rawValue : EPOLLOUT.rawValue) | EPOLLONESHOT.rawValue
        var event = epoll_event(events: events, data: epoll_data_t(fd: descriptor))
        let (isRegistered, mustRing) = waits.withLock { waits in
            precondition(waits.byDescriptor[descriptor] == nil, "two waits for one descriptor")
            let isNew = waits.known.insert(descriptor).inserted
            guard epoll_ctl(poller, isNew ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, &event) == 0 else {
                waits.known.remove(descriptor)
                return (false, false)
            }
            waits.byDescriptor[descriptor] = wait
            let isSooner = wait.deadline < waits.threadWakesAt
            if isSooner { waits.threadWakesAt = wait.deadline }
            return (true, isSooner)
        }
        guard isRegistered else { return wait.continuation.resume(returning: .ready) }
        if mustRing { _ = eventfd_write(bell, 1) }
        // A cancellation between the check above and the registration found nothing to end.
        if Task.isCancelled { end(descriptor, number: wait.number, with: .forgotten) }
    }

    private func end(_ descriptor: Int32, number: UInt64, with outcome: Outcome) {
        let wait = waits.withLock { waits -> Wait? in
            guard waits.byDescriptor[descriptor]?.number == number else { return nil }
            return waits.byDescriptor.removeValue(forKey: descriptor)
        }
        wait?.continuation.resume(returning: outcome)
    }

    private func run() {
        var events = [epoll_event](repeating: epoll_event(), count: 64)
        while true {
            let count = Int(epoll_wait(poller, &events, Int32(events.count), timeout()))
            if count < 0 && errno != EINTR { fatalError("epoll_wait: \(SystemError.reason(errno))") }
            for event in events.prefix(max(0, count)) {
                let descriptor = event.data.fd
                if descriptor == bell {
                    var value: eventfd_t = 0
                    _ = eventfd_read(bell, &value)
                } else {
                    let wait = waits.withLock { $0.byDescriptor.removeValue(forKey: descriptor) }
                    wait?.continuation.resume(returning: .ready)
                }
            }
            expire()
        }
    }

    /// In milliseconds, rounded up; -1 if there is no deadline.
    private func timeout() -> Int32 {
        let soonest = waits.withLock(\.threadWakesAt)
        guard soonest < .distantFuture else { return -1 }
        return Int32(max(0, min(60_000, (soonest - SystemClock.now()).nanoseconds / 1_000_000 + 1)))
    }

    private func expire() {
        let now = SystemClock.now()
        let expired = waits.withLock { waits -> [Wait] in
            // Most wakes are for a descriptor: all deadlines are looked at only when one may have come.
            guard waits.threadWakesAt <= now else { return [] }
            let expired = waits.byDescriptor.filter { $0.value.deadline <= now }
            for descriptor in expired.keys { waits.byDescriptor.removeValue(forKey: descriptor) }
            waits.threadWakesAt = waits.byDescriptor.values.lazy.map(\.deadline).min() ?? .distantFuture
            return Array(expired.values)
        }
        for wait in expired { wait.continuation.resume(returning: .timedOut) }
    }
}
