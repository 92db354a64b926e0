import MeshModel
import Synchronization

/// Where the spans of one event loop go: they are encoded in place, without allocation, and never make the loop wait.
///
/// Invariant: `record` is called by one thread at a time (the loop's own); other threads use `SharedSpanRecorder`.
package final class SpanRecorder: @unchecked Sendable {
    package let ring: SpanRing
    private let scratch: UnsafeMutableRawPointer
    private let onFilling: @Sendable () -> Void
    package let isEnabled: Bool

    package init(ring: SpanRing, onFilling: @escaping @Sendable () -> Void = {}) {
        self.ring = ring
        self.onFilling = onFilling
        isEnabled = true
        scratch = .allocate(byteCount: RecordLayout.maximumLength, alignment: 16)
    }

    private init() {
        ring = SpanRing(capacity: 0)
        onFilling = {}
        isEnabled = false
        scratch = .allocate(byteCount: RecordLayout.headerLength, alignment: 16)
    }

    deinit { scratch.deallocate() }

    /// Records nothing and counts nothing, for a gateway that reports to nobody; any thread may call it.
    package static let disabled = SpanRecorder()

    /// Records one finished span; `items` names it and adds its attributes.
    package func record(_ header: SpanHeader, _ items: (inout SpanWriter) -> Void) {
        guard isEnabled else { return }
        var writer = SpanWriter(base: scratch, header: header)
        items(&writer)
        if ring.write(writer.finish()) == .writtenAndFilling { onFilling() }
    }
}

/// A recorder for threads that are no event loop, application code in tasks above all: one at a time, behind a lock.
package final class SharedSpanRecorder: Sendable {
    private let recorder: Guarded<SpanRecorder>

    package init(_ recorder: SpanRecorder) { self.recorder = Guarded(recorder) }

    package static let disabled = SharedSpanRecorder(.disabled)

    package func record(_ header: SpanHeader, _ items: (inout SpanWriter) -> Void) {
        recorder.withLock { $0.record(header, items) }
    }
}
