public import Synchronization

/// A value behind a `Mutex` whose hand-over the thread sanitizer can see.
///
/// The lock of `Mutex` is taken inside the standard library, which is not instrumented, so the sanitizer takes every access behind it
/// for a race. The load and the store here say to it what the lock does; on x86 and arm64 they cost a plain move each.
@frozen
@usableFromInline package struct Guarded<Value: ~Copyable>: ~Copyable, Sendable {
    @usableFromInline let mutex: Mutex<Value>
    @usableFromInline let handOver = Atomic<Int>(0)

    @inlinable package init(_ value: consuming sending Value) { mutex = Mutex(value) }

    @inlinable @inline(__always) package borrowing func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        try mutex.withLock { value throws(Failure) in
            _ = handOver.load(ordering: .acquiring)
            defer { handOver.store(0, ordering: .releasing) }
            return try body(&value)
        }
    }
}
