package import MeshModel
package import Tracing

/// The backend of swift-distributed-tracing: an application's spans go into the same rings as the mesh's own, under the
/// span that is open where they begin.
package struct MeshTracer: Tracer {
    private let recorder: SharedSpanRecorder
    private let ids: IdentifierSource
    private let onFlush: @Sendable () -> Void

    package init(
        recorder: SharedSpanRecorder, random: RandomSource = .fromSystem(), onFlush: @escaping @Sendable () -> Void = {}
    ) {
        self.recorder = recorder
        self.onFlush = onFlush
        ids = IdentifierSource(random)
    }

    package func startSpan<Instant: TracerInstant>(
        _ operationName: String, context: @autoclosure () -> ServiceContext, ofKind kind: Tracing.SpanKind,
        at instant: @autoclosure () -> Instant, function: String, file fileID: String, line: UInt
    ) -> TracedSpan {
        var context = context()
        let parent = context.trace ?? RequestContext.current?.trace
        let trace = ids.next(under: parent)
        context.trace = trace
        // The root of a trace decides on it, and hears of what goes wrong below.
        let notes = parent == nil ? TraceNotes() : context.notes ?? RequestContext.current?.notes
        context.notes = notes
        return TracedSpan(
            operationName, kind: kind, context: context, trace: trace, parent: parent?.spanID, notes: notes,
            start: monotonic(of: instant().nanosecondsSinceEpoch), recorder: recorder
        )
    }

    package func forceFlush() { onFlush() }

    package func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier, into context: inout ServiceContext, using extractor: Extract
    ) where Extract.Carrier == Carrier {
        guard let text = extractor.extract(key: "traceparent", from: carrier) else { return }
        let trace = Array(text.utf8).withUnsafeBytes { TraceContext(traceparent: $0) }
        guard let trace else { return }
        context.trace = trace
        context.propagated = PropagatedFields(
            tracestate: extractor.extract(key: "tracestate", from: carrier), baggage: extractor.extract(key: "baggage", from: carrier))
    }

    package func inject<Carrier, Inject: Injector>(
        _ context: ServiceContext, into carrier: inout Carrier, using injector: Inject
    ) where Inject.Carrier == Carrier {
        guard let trace = context.trace else { return }
        injector.inject(trace.traceparent, forKey: "traceparent", into: &carrier)
        let propagated = context.propagated
        if let state = propagated.tracestate { injector.inject(state, forKey: "tracestate", into: &carrier) }
        if let baggage = propagated.baggage { injector.inject(baggage, forKey: "baggage", into: &carrier) }
    }
}

/// Hands out the ids of new spans.
private final class IdentifierSource: Sendable {
    private let random: Guarded<RandomSource>

    init(_ random: RandomSource) { self.random = Guarded(random) }

    func next(under parent: TraceContext?) -> TraceContext {
        random.withLock { random in
            TraceContext(
                traceID: parent?.traceID ?? .random(&random), spanID: .random(&random),
                flags: parent?.flags ?? TraceContext.sampledFlag | TraceContext.randomFlag
            )
        }
    }
}

/// The monotonic instant of a wall time that was just read, or was said by the caller.
///
/// A time within a millisecond of now is now, so that a duration comes from the monotonic clock alone.
private func monotonic(of nanosecondsSinceEpoch: UInt64) -> MeshModel.Instant {
    let anchor = TimeAnchor.capture()
    let wall = UnixTime(nanoseconds: Int64(clamping: nanosecondsSinceEpoch))
    let isNow = (anchor.wall.nanoseconds &- wall.nanoseconds).magnitude < 1_000_000
    return isNow ? anchor.instant : anchor.instant(at: wall)
}

/// A span that application code opened.
///
/// Invariant: recorded once, at its first `end`; what is said of it afterwards is ignored.
package final class TracedSpan: Tracing.Span {
    private struct State {
        var name: String
        var attributes: SpanAttributes = [:]
        var status: SpanStatus = .unset
        var events: [SpanEvent] = []
        var links: [SpanLink] = []
        var hasEnded = false
    }

    package let context: ServiceContext
    private let kind: Tracing.SpanKind
    private let trace: TraceContext
    private let parent: SpanID?
    private let notes: TraceNotes?
    private let start: MeshModel.Instant
    private let startWall: UnixTime
    private let recorder: SharedSpanRecorder
    private let state: Guarded<State>

    fileprivate init(
        _ name: String, kind: Tracing.SpanKind, context: ServiceContext, trace: TraceContext, parent: SpanID?, notes: TraceNotes?,
        start: MeshModel.Instant, recorder: SharedSpanRecorder
    ) {
        self.kind = kind
        self.context = context
        self.trace = trace
        self.parent = parent
        self.notes = notes
        self.start = start
        startWall = TimeAnchor.capture().wall(at: start)
        self.recorder = recorder
        state = Guarded(State(name: name))
    }

    package var operationName: String {
        get { state.withLock { $0.name } }
        set { state.withLock { $0.name = newValue } }
    }

    package var attributes: SpanAttributes {
        get { state.withLock { $0.attributes } }
        set { state.withLock { $0.attributes = newValue } }
    }

    package var isRecording: Bool { state.withLock { !$0.hasEnded } }

    package func setStatus(_ status: Tracing.SpanStatus) {
        state.withLock { state in
            state.status = status.code == .error ? .error : .ok
            if let message = status.message { state.attributes["mesh.status_message"] = message }
        }
    }

    package func addEvent(_ event: SpanEvent) { state.withLock { $0.events.append(event) } }

    package func addLink(_ link: SpanLink) { state.withLock { $0.links.append(link) } }

    package func recordError<Instant: TracerInstant>(
        _ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant
    ) {
        var attributes = attributes
        attributes["exception.type"] = String(reflecting: type(of: error))
        attributes["exception.message"] = "\(error)"
        addEvent(SpanEvent(name: "exception", at: instant(), attributes: attributes))
    }

    package func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
        let ended: State? = state.withLock { state in
            if state.hasEnded { return nil }
            state.hasEnded = true
            return state
        }
        guard let ended else { return }
        let header = SpanHeader(
            kind: .internal, traceID: trace.traceID, spanID: trace.spanID, parent: parent, start: start,
            end: max(start, monotonic(of: instant().nanosecondsSinceEpoch)), status: ended.status
        )
        if ended.status == .error { notes?.add(.error) }
        func describe(_ span: inout SpanWriter) {
            span.name(ended.name)
            if let role = kind.role { span.add("mesh.span_kind", .string(role)) }
            for (key, value) in ended.attributes.recorded { span.add(key, value) }
            for event in ended.events {
                let offset = Int64(clamping: event.nanosecondsSinceEpoch) - startWall.nanoseconds
                span.event(event.name, after: .nanoseconds(offset), event.attributes.recorded)
            }
            for link in ended.links {
                if let trace = link.context.trace { span.link(trace.traceID, trace.spanID) }
            }
        }
        if parent == nil {
            recorder.recordRoot(header, trouble: notes?.trouble ?? [], describe)
        } else {
            recorder.record(header, describe)
        }
    }
}

extension Tracing.SpanKind {
    /// OpenTelemetry's name, where it is not the default.
    fileprivate var role: String? {
        switch self {
        case .server: "server"
        case .client: "client"
        case .producer: "producer"
        case .consumer: "consumer"
        case .internal: nil
        }
    }
}

extension SpanAttributes {
    /// As a record holds them, in the order of their names.
    fileprivate var recorded: [(String, AttributeValue)] {
        var result: [(String, AttributeValue)] = []
        forEach { key, value in result.append((key, AttributeValue(value))) }
        return result.sorted { $0.0 < $1.0 }
    }
}

extension AttributeValue {
    fileprivate init(_ attribute: SpanAttribute) {
        switch attribute {
        case .int32(let value): self = .integer(Int64(value))
        case .int64(let value): self = .integer(value)
        case .int32Array(let values): self = .array(values.map { .integer(Int64($0)) })
        case .int64Array(let values): self = .array(values.map { .integer($0) })
        case .double(let value): self = .double(value)
        case .doubleArray(let values): self = .array(values.map { .double($0) })
        case .bool(let value): self = .bool(value)
        case .boolArray(let values): self = .array(values.map { .bool($0) })
        case .string(let value): self = .string(value)
        case .stringArray(let values): self = .array(values.map { .string($0) })
        case .stringConvertible(let value): self = .string(value.description)
        case .stringConvertibleArray(let values): self = .array(values.map { .string($0.description) })
        default: self = .string("\(attribute)")
        }
    }
}
