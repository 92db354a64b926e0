package import MeshModel
import Synchronization

/// Where the spans of one event loop go: they are encoded in place, without allocation, and never make the loop wait.
///
/// Invariant: used by one thread at a time (the loop's own); other threads use `SharedSpanRecorder`.
package final class SpanRecorder: @unchecked Sendable {
    package let ring: SpanRing?
    private let scratch: UnsafeMutableRawPointer
    private let onFilling: @Sendable () -> Void
    /// Places for open spans that are free.
    private var freeSlots: [UInt16]
    package var isEnabled: Bool { ring != nil }

    package init(ring: SpanRing, onFilling: @escaping @Sendable () -> Void = {}) {
        self.ring = ring
        self.onFilling = onFilling
        scratch = .allocate(byteCount: RecordLayout.maximumLength, alignment: 16)
        freeSlots = (0..<ring.segment.openSpans).reversed().map { UInt16($0) }
    }

    private init() {
        ring = nil
        onFilling = {}
        scratch = .allocate(byteCount: RecordLayout.headerLength, alignment: 16)
        freeSlots = []
    }

    deinit { scratch.deallocate() }

    /// Records nothing and counts nothing, for a gateway that reports to nobody; any thread may call it.
    package static let disabled = SpanRecorder()

    /// Records one finished span; `items` names it and adds its attributes.
    package func record(_ header: SpanHeader, _ items: (inout SpanWriter) -> Void) {
        guard let ring else { return }
        var writer = SpanWriter(base: scratch, header: header)
        items(&writer)
        if ring.write(writer.finish()) == .writtenAndFilling { onFilling() }
    }

    /// Notes that a span is open, so that a crash does not take it along; nil where no more can be noted.
    package func open(
        _ kind: SpanKind, _ trace: TraceID, _ span: SpanID, parent: SpanID?, start: Instant, name: UnsafeRawBufferPointer
    ) -> OpenSpanNote? {
        guard let ring, let slot = freeSlots.popLast() else { return nil }
        place(slot, in: ring).write(kind, trace, span, parent, start, name)
        return OpenSpanNote(slot: slot)
    }

    /// The span has ended, and is recorded or not worth it.
    package func close(_ note: OpenSpanNote) {
        guard let ring else { return }
        place(note.slot, in: ring).clear()
        freeSlots.append(note.slot)
    }

    private func place(_ slot: UInt16, in ring: SpanRing) -> OpenSpanSlot {
        OpenSpanSlot(base: ring.segment.openSlots(ring.number) + Int(slot) * OpenSpanSlot.length)
    }
}

/// Where a recorder noted an open span.
package struct OpenSpanNote: Sendable, BitwiseCopyable {
    fileprivate let slot: UInt16
}

/// A recorder for threads that are no event loop, application code in tasks above all: one at a time, behind a lock.
package final class SharedSpanRecorder: Sendable {
    private struct State {
        var recorder: SpanRecorder
        var decider = KeepDecider()
    }

    private let state: Guarded<State>

    package init(_ recorder: SpanRecorder) { state = Guarded(State(recorder: recorder)) }

    package static let disabled = SharedSpanRecorder(.disabled)

    package func record(_ header: SpanHeader, _ items: (inout SpanWriter) -> Void) {
        state.withLock { $0.recorder.record(header, items) }
    }

    /// Records the root of a trace, or of it only that the trace is not kept.
    package func recordRoot(_ header: SpanHeader, trouble: TraceTrouble, _ items: (inout SpanWriter) -> Void) {
        state.withLock { state in
            var header = header
            let decision = state.decider.ended(header.traceID, after: header.end - header.start, trouble: trouble)
            header.decision = decision
            state.recorder.record(header) { if decision.isKept { items(&$0) } }
        }
    }

    /// Which traces are kept from now on.
    package func setKeeping(_ rule: TraceKeeping) { state.withLock { $0.decider.rule = rule } }
}
