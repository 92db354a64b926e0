internal import CMeshSystem
internal import NIOCore
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// An event loop: one thread that waits for its sockets, timers and tasks, and serves them in turn.
///
/// A turn is: what the kernel told, sockets that have more to do, tasks, timers that are due. It sleeps only when all of that is done; what it
/// does last before it may send by the call that sleeps (`HeldSends`).
/// Invariant: everything below the mark is touched on its thread only.
package final class EpollLoop: @unchecked Sendable {
    package let index: Int
    private let mailbox = Mailbox()
    /// 0 before it runs and after it has ended.
    private let thread = Atomic<UInt>(0)
    private var poller = Poller()
    private let holdsSends: Bool
    #if DEBUG
        let promises = PromiseBook()
    #endif

    // MARK: On the thread of the loop

    private var tasks: [LoopTask] = []
    private var timers = TimerHeap()
    private var sockets = SocketTable()
    /// Those with more to do than one turn allows, and those that were asked to go on.
    private var resumed: [PolledSocket] = []
    var receiveBuffers = ReceiveBuffers()
    private var heldSends = HeldSends()
    private var isEnding = false
    private var mustEnd = false

    /// So many tasks are run in one turn, before sockets are looked at again.
    private static let tasksPerTurn = 4096
    /// What ends may lead to further things that must end; more often than this it never will.
    private static let roundsOfEnding = 1000

    init(index: Int, holdsSends: Bool) {
        self.index = index
        self.holdsSends = holdsSends
    }

    package var inEventLoop: Bool { thread.load(ordering: .relaxed) == Self.currentThread }

    private static var currentThread: UInt {
        #if canImport(Glibc)
            pthread_self()
        #else
            UInt(bitPattern: pthread_self())
        #endif
    }

    // MARK: - The thread

    func run() {
        thread.store(Self.currentThread, ordering: .relaxed)
        if holdsSends { heldSends.begin() }
        while !mustEnd { turn() }
        end()
        thread.store(0, ordering: .relaxed)
    }

    private func turn() {
        let count = wait()
        mailbox.awake()
        for index in 0..<count {
            heldSends.isOpen = index == count - 1
            guard let (token, what) = poller.event(index), let socket = sockets.socket(token) else { continue }
            socket.ready(what)
        }
        runTasks()
        guard !resumed.isEmpty else { return }
        sendHeld()
        let again = resumed
        resumed = []
        for (index, socket) in again.enumerated() {
            heldSends.isOpen = index == again.count - 1
            socket.goOn()
        }
        runTasks()
    }

    /// Returns how many events there are.
    private func wait() -> Int {
        heldSends.isOpen = false
        let sleeps = fireTimers()
        guard !heldSends.isEmpty else { return poller.wait(sleeps: sleeps) }
        if sleeps { giveBack(heldSends.submitAndWait(for: poller.epoll)) } else { sendHeld() }
        return poller.wait(sleeps: false)
    }

    /// Fires what is due, and says whether the loop may sleep then, until the next timer is due.
    private func fireTimers() -> Bool {
        if !timers.isEmpty {
            let now = NIODeadline.now()
            while let timer = timers.popDue(now: now) {
                sendHeld()
                timer.fire()
            }
            if let next = timers.next { poller.setAlarm(next, now: now) }
        }
        return tasks.isEmpty && resumed.isEmpty && !mustEnd && mailbox.fallAsleep()
    }

    private func runTasks() {
        var count = 0
        while count < Self.tasksPerTurn {
            tasks += mailbox.collect()
            guard !tasks.isEmpty else { return }
            sendHeld()
            let batch = tasks
            tasks = []
            for (index, task) in batch.enumerated() {
                heldSends.isOpen = index == batch.count - 1
                task.run()
            }
            count += batch.count
        }
    }

    // MARK: - Sends by the call that sleeps

    /// Whether the bytes will be sent when the turn ends, and nothing is left to do for them.
    func hold(_ bytes: ByteBuffer, for channel: StreamChannel) -> Bool { heldSends.hold(bytes, for: channel) }
    func hold(_ first: ByteBuffer, _ second: ByteBuffer, for channel: StreamChannel) -> Bool {
        heldSends.hold(first, second, for: channel)
    }

    /// Sends them now, since something else is to be done before the loop sleeps.
    package func sendHeld() {
        if !heldSends.isEmpty { giveBack(heldSends.submit()) }
    }

    private func giveBack(_ unsent: [HeldSends.Unsent]) {
        for unsent in unsent { unsent.channel.sendLater(unsent.bytes) }
    }

    /// Closes every socket, fails every timer, and runs what is left.
    private func end() {
        isEnding = true
        for _ in 0..<Self.roundsOfEnding {
            for socket in sockets.all { socket.loopEnds() }
            for timer in timers.removeAll() { timer.fail(EventLoopError.shutdown) }
            resumed = []
            runTasks()
            if tasks.isEmpty, timers.isEmpty, sockets.isEmpty, mailbox.end() { return }
        }
        preconditionFailure("an event loop can't end: its tasks go on handing it others")
    }

    /// Lets the thread end after its present turn. Any thread.
    func askToEnd() { _ = deliver(LoopTask { [unowned self] in mustEnd = true }) }

    // MARK: - Tasks

    /// Any thread; false where the loop has ended.
    func deliver(_ task: LoopTask) -> Bool {
        if inEventLoop {
            tasks.append(task)
            return true
        }
        switch mailbox.deliver(task) {
        case .taken: return true
        case .mustWake:
            poller.ring()
            return true
        case .refused: return false
        }
    }

    // MARK: - Timers

    func set(_ timer: LoopTimer) { timers.insert(timer) }
    func cancel(_ timer: LoopTimer) { timers.cancel(timer) }

    // MARK: - Sockets

    /// Begins to watch a socket; it is told from the next turn on.
    ///
    /// - Throws: `EventLoopError.shutdown`, and `IOError` where the kernel refuses.
    func watch(_ socket: PolledSocket, for interest: Interest) throws {
        guard !isEnding else { throw EventLoopError.shutdown }
        socket.token = sockets.add(socket)
        let code = poller.watch(socket.descriptor, for: interest, token: socket.token)
        guard code == 0 else {
            sockets.remove(socket.token)
            throw IOError(errnoCode: code, reason: "epoll_ctl")
        }
    }

    /// - Throws: `IOError` where the kernel refuses.
    func change(_ socket: PolledSocket, to interest: Interest) throws {
        let code = poller.change(socket.descriptor, to: interest, token: socket.token)
        guard code == 0 else { throw IOError(errnoCode: code, reason: "epoll_ctl") }
    }

    /// Tells nothing more about a socket, whose descriptor is closed next; also nothing that lies in the present batch.
    func forget(_ socket: PolledSocket, isShared: Bool) {
        sockets.remove(socket.token)
        if isShared { poller.forget(socket.descriptor) }
    }

    /// Has the socket go on in this turn or the next.
    func resume(_ socket: PolledSocket) {
        guard !socket.isResumed else { return }
        socket.isResumed = true
        resumed.append(socket)
    }
}

/// The sockets of a loop by the token that the kernel gives back with an event.
///
/// A token is a place in a table and the number of sockets that stood there before, so that an event for one that is closed never
/// reaches the one that has its place, or its descriptor, now.
private struct SocketTable {
    private struct Place {
        var socket: PolledSocket?
        var generation: UInt32 = 0
    }

    private var places: [Place] = []
    private var free: [Int] = []

    var isEmpty: Bool { free.count == places.count }
    var all: [PolledSocket] { places.compactMap(\.socket) }

    func socket(_ token: UInt64) -> PolledSocket? {
        let index = Int(truncatingIfNeeded: token & 0xffff_ffff)
        guard index < places.count, places[index].generation == UInt32(truncatingIfNeeded: token >> 32) else { return nil }
        return places[index].socket
    }

    mutating func add(_ socket: PolledSocket) -> UInt64 {
        if free.isEmpty {
            free.append(places.count)
            places.append(Place())
        }
        let index = free.removeLast()
        places[index].socket = socket
        return UInt64(places[index].generation) << 32 | UInt64(index)
    }

    mutating func remove(_ token: UInt64) {
        let index = Int(truncatingIfNeeded: token & 0xffff_ffff)
        guard index < places.count, places[index].generation == UInt32(truncatingIfNeeded: token >> 32), places[index].socket != nil
        else { return }
        places[index].socket = nil
        // The highest generation would be the token of the bell.
        places[index].generation = places[index].generation == .max - 1 ? 0 : places[index].generation + 1
        free.append(index)
    }
}
