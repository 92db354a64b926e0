internal import CMeshSystem
internal import NIOCore

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// What a socket is watched for, edge-triggered: what was told once is told again only after the kernel has seen it change.
enum Interest {
    /// Bytes or connections that come, and the end of the peer's side.
    case reading
    /// Room to write as well, or the end of a connect.
    case readingAndWriting

    fileprivate var events: UInt32 {
        // Urgent bytes end a read early though more lies behind them.
        let reading = EPOLLIN.rawValue | EPOLLRDHUP.rawValue | EPOLLPRI.rawValue | EPOLLET.rawValue
        return self == .reading ? reading : reading | EPOLLOUT.rawValue
    }
}

/// What happened to a socket.
struct SocketEvents {
    private let bits: UInt32

    fileprivate init(_ bits: UInt32) { self.bits = bits }

    var isReadable: Bool { bits & (EPOLLIN.rawValue | EPOLLPRI.rawValue) != 0 }
    /// A short read does not mean that nothing is left.
    var isUrgent: Bool { bits & EPOLLPRI.rawValue != 0 }
    var isWritable: Bool { bits & EPOLLOUT.rawValue != 0 }
    /// The peer has ended its side; what it sent before can still be read.
    var peerEnded: Bool { bits & EPOLLRDHUP.rawValue != 0 }
    /// Nothing can be written any more, and what is read ends soon.
    var isBroken: Bool { bits & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 }
}

/// One epoll instance with the batch of events that it gave last, the bell that wakes the thread that waits for it, and its alarm.
///
/// The alarm is a timer of the kernel that stays set when the time for which it was set does not matter any more: a wait that ends early
/// once in a while costs less than a timer for each wait, for most deadlines are never reached. Only `ring` may be called by other threads.
struct Poller: ~Copyable {
    private static let batch = 256
    private static let bellToken = UInt64.max
    private static let alarmToken = UInt64.max - 1

    let epoll: CInt
    private let bell: CInt
    private let alarm: CInt
    private var alarmDue = NIODeadline.distantPast
    private let events: UnsafeMutablePointer<epoll_event>

    init() {
        epoll = epoll_create1(CInt(EPOLL_CLOEXEC))
        bell = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
        alarm = timerfd_create(CLOCK_MONOTONIC, CInt(TFD_CLOEXEC | TFD_NONBLOCK))
        precondition(epoll >= 0 && bell >= 0 && alarm >= 0, "no descriptor left for an event loop: raise `ulimit -n`")
        events = .allocate(capacity: Self.batch)
        for (descriptor, token) in [(bell, Self.bellToken), (alarm, Self.alarmToken)] {
            // Edge-triggered, so that each ringing is one event and the counter need never be read.
            var event = epoll_event(events: EPOLLIN.rawValue | EPOLLET.rawValue, data: epoll_data_t(u64: token))
            epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event)
        }
    }

    deinit {
        close(epoll)
        close(bell)
        close(alarm)
        events.deallocate()
    }

    /// Any thread.
    func ring() { _ = eventfd_write(bell, 1) }

    /// 0, or the error's code.
    func watch(_ descriptor: CInt, for interest: Interest, token: UInt64) -> CInt {
        control(EPOLL_CTL_ADD, descriptor, interest, token)
    }

    /// Tells anew what is there at the moment, also where that was told before.
    func change(_ descriptor: CInt, to interest: Interest, token: UInt64) -> CInt {
        control(EPOLL_CTL_MOD, descriptor, interest, token)
    }

    /// Closing a descriptor does the same where no other process holds the socket.
    func forget(_ descriptor: CInt) { epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nil) }

    private func control(_ operation: CInt, _ descriptor: CInt, _ interest: Interest, _ token: UInt64) -> CInt {
        var event = epoll_event(events: interest.events, data: epoll_data_t(u64: token))
        return epoll_ctl(epoll, operation, descriptor, &event) == 0 ? 0 : errno
    }

    /// Has a wait end when `due` is past, if not before: at the next whole millisecond, so that one alarm serves many timers.
    mutating func setAlarm(_ due: NIODeadline, now: NIODeadline) {
        let due = min(NIODeadline.uptimeNanoseconds((due.uptimeNanoseconds + 999_999) / 1_000_000 * 1_000_000), NIODeadline.distantFuture)
        guard alarmDue > due || alarmDue <= now else { return }
        alarmDue = due
        // 0 would be never.
        let left = max((due - now).nanoseconds, 1)
        var time = itimerspec()
        time.it_value = timespec(tv_sec: Int(left / 1_000_000_000), tv_nsec: Int(left % 1_000_000_000))
        timerfd_settime(alarm, 0, &time, nil)
    }

    /// The events that there are, and unless `sleeps` is false waits for the first. Returns how many.
    func wait(sleeps: Bool) -> Int {
        let count = epoll_wait(epoll, events, CInt(Self.batch), sleeps ? -1 : 0)
        precondition(count >= 0 || errno == EINTR, "an epoll instance is gone: its descriptor was closed by somebody else")
        return max(0, Int(count))
    }

    /// nil for the bell and the alarm.
    func event(_ index: Int) -> (token: UInt64, what: SocketEvents)? {
        let event = events[index]
        return event.data.u64 >= Self.alarmToken ? nil : (event.data.u64, SocketEvents(event.events))
    }
}
