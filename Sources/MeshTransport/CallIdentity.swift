internal import MeshModel
internal import MeshPolicy
internal import MeshTelemetry

/// Who a call is in the trace, and how it was named.
struct CallIdentity {
    /// How a request came into this process; it decides which fields are believed and which spans are written.
    enum Origin: UInt8 {
        /// From outside the mesh.
        case edge
        /// From another service of the mesh.
        case mesh
        /// From code of this process.
        case local
    }

    var origin = Origin.local
    var traceID = TraceID(high: 0, low: 1)
    var flags: UInt8 = 0
    /// The span of the one who asked; nil at the root of a trace.
    var parent: SpanID?
    /// A stranger's context that this trace only points to.
    var link: TraceContext?
    /// The span of the request in this process; nil for a call that code of this process made.
    var serverSpan: SpanID?
    var callSpan = SpanID(1)
    /// The span of the attempt that is running, which the next tier sees as its parent.
    private(set) var attemptSpan = SpanID(1)
    /// When the first byte of the request was seen.
    var received = Instant.zero
    /// Made by this mesh where the request had none of its own.
    var madeRequestID: (high: UInt64, low: UInt64)?
    /// The client's own forwarding fields are believed.
    var isTrusted = false
    /// The client's bytes came through TLS.
    var isSecure = false
    /// As the trace names what was asked for.
    var route: String?
    var isRecorded = true
    /// The trace begins here, so that it is decided here whether it is kept.
    var isRoot = false
    /// Somebody who may ask for it wants the trace kept.
    var isKeepAsked = false
    /// Stands for requests that are alike; 0 where no route is known.
    var routeNumber = 0
    /// What answers from below told.
    var troubleBelow = TraceTrouble()
    /// Where code of this process hears of trouble below.
    var notes: TraceNotes?
    /// Where it is noted that the server span is open.
    var openNote: OpenSpanNote?
    /// When who asked stops waiting; nil for a request without end.
    var deadline: Instant?
    var criticality = Criticality.standard

    /// Begins, or continues, a trace.
    mutating func begin(_ context: TraceContext?, continues: Bool, random: inout RandomSource) {
        if let context, continues {
            traceID = context.traceID
            parent = context.spanID
            // Level 2 knows two flags; those that a later one may add are not ours to pass on.
            flags = context.flags & (TraceContext.sampledFlag | TraceContext.randomFlag)
        } else {
            traceID = TraceID.random(&random)
            parent = nil
            link = context
            flags = TraceContext.sampledFlag | TraceContext.randomFlag
        }
        callSpan = SpanID.random(&random)
    }

    /// The same request once more, beside the first: its span hangs below that of the request.
    mutating func becomeCopy(random: inout RandomSource) {
        // Whether the trace is kept is decided with the answer that somebody waits for.
        isRoot = false
        openNote = nil
        notes = nil
        parent = serverSpan
        serverSpan = nil
        link = nil
        callSpan = SpanID.random(&random)
    }

    /// The span of the nth attempt: derived from the call's, so that the attempts need no memory of their own.
    func attemptSpan(_ number: Int) -> SpanID {
        var z = callSpan.value &+ UInt64(truncatingIfNeeded: number) &* 0x9e37_79b9_7f4a_7c15
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return SpanID((z ^ (z >> 31)) | 1)
    }

    mutating func beginAttempt(_ number: Int) { attemptSpan = attemptSpan(number) }

    var attemptContext: TraceContext { TraceContext(traceID: traceID, spanID: attemptSpan, flags: flags) }
}
