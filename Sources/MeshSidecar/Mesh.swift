public import HTTPTypes
import MeshExchange
import MeshModel
import MeshPolicy
import MeshTelemetry
import MeshTransport

/// The way from this service to others.
///
///     let answer = try await mesh.call(.inventory, .get, "/stock?sku=\(sku)")
///     let stock = try await answer.json(as: Stock.self)
///
/// Within a request everything is inherited without being passed on: the deadline shrinks from tier to tier, the trace goes on,
/// and a caller that leaves cancels every call made for it. Calls that run side by side share the request's deadline:
///
///     async let customer = mesh.call(.crm, .get, "/customers/\(id)")
///     async let payment = mesh.call(.ledger, .get, "/payments/\(paymentID)")
public final class Mesh: Sendable {
    let runtime: MeshRuntime
    let service: ServiceName
    /// Opened by the first configuration; calls wait for it.
    let configured = Gate<Void>()
    let detachedWork = WorkCount()
    private let spans: SharedSpanRecorder

    init(runtime: MeshRuntime, service: ServiceName, spans: SharedSpanRecorder) {
        self.runtime = runtime
        self.service = service
        self.spans = spans
    }

    /// Calls a service, with as many attempts as mesh.yaml allows, and returns its answer, whatever the status.
    ///
    /// - Parameters:
    ///   - target: Path and query; interpolated values are percent-encoded.
    ///   - timeout: Shortens what mesh.yaml and the request's deadline allow; it never lengthens it.
    ///   - idempotencyKey: Sent as `Idempotency-Key`: the service does the work once however often it is asked, so that a POST may be
    ///     retried too.
    /// - Throws: ``CallError`` when the mesh gave up, ``ServiceNotAllowed`` for a service that is not in this one's `calls:`,
    ///   ``InvalidCall`` for what is no HTTP request,
    ///   `CancellationError` when this task is cancelled.
    public func call(
        _ service: ServiceName, _ method: HTTPRequest.Method, _ target: RequestTarget, headerFields: HTTPFields = [:],
        body: OutgoingBody = .none, timeout: Duration? = nil, idempotencyKey: String? = nil
    ) async throws -> MeshCallResponse {
        try await configured.value()
        var fields = headerFields
        if let idempotencyKey { fields[.idempotencyKey] = idempotencyKey }
        let inherited = RequestContext.current
        do {
            let response = try await runtime.call(
                service.description, method: method, path: target.description, fields: fields, body: body.outbound,
                context: CallContext(
                    deadline: inherited?.deadline, trace: TraceContext.current, requestID: RequestScope.current?.requestID,
                    credit: RequestScope.current?.credit, notes: TraceNotes.current, propagated: PropagatedFields.current,
                    criticality: RequestScope.current?.criticality ?? .standard),
                timeout: timeout.map { Timespan($0) })
            if response.status >= 500, response.fields[.meshRetry]?.lowercased() == "no" {
                RequestScope.current?.callWasNotToBeRetried()
            }
            return MeshCallResponse(service: service, response)
        } catch let error as MeshTransport.CallError {
            switch error {
            case .unknownService: throw ServiceNotAllowed(caller: self.service, service: service)
            case .invalidRequest(let reason): throw InvalidCall(service: service, reason: reason)
            case .failed(_, let failure, _):
                if failure.retryNo { RequestScope.current?.callWasNotToBeRetried() }
                throw CallError(service: service, failure, deadline: inherited?.deadline)
            }
        }
    }

    /// Calls a service with a JSON body.
    ///
    ///     let answer = try await mesh.call(.ledger, .post, "/payments", json: payment, idempotencyKey: order.id)
    public func call(
        _ service: ServiceName, _ method: HTTPRequest.Method, _ target: RequestTarget, headerFields: HTTPFields = [:],
        json value: some Encodable, timeout: Duration? = nil, idempotencyKey: String? = nil
    ) async throws -> MeshCallResponse {
        var fields = headerFields
        if fields[.contentType] == nil { fields[.contentType] = "application/json" }
        return try await call(
            service, method, target, headerFields: fields, body: .json(value), timeout: timeout, idempotencyKey: idempotencyKey)
    }

    /// The answer that passes a whole request on to a service, and its answer back: bodies stream both ways, and nothing is read here.
    ///
    ///     sidecar.serve { request in
    ///         request.path.hasPrefix("/legacy") ? mesh.forward(request, to: .legacy) : try await answer(request)
    ///     }
    ///
    /// The request's body must not have been read.
    public func forward(_ request: MeshRequest, to service: ServiceName) -> MeshResponse {
        MeshResponse(forwarding: request, to: service)
    }

    /// Runs work that must be done although the caller may be gone: a compensation, above all.
    ///
    ///     do {
    ///         try await pay(order)
    ///     } catch {
    ///         try await mesh.detached(deadline: .seconds(10)) {
    ///             try await mesh.call(.inventory, .delete, "/reservations/\(reservation)").requireSuccess()
    ///         }
    ///         throw error
    ///     }
    ///
    /// It has a deadline of its own and a trace of its own, which links to the one that it began in. Cancellation does not reach it,
    /// and a service that shuts down waits for it. What must survive a crash too needs a record in a database besides.
    @discardableResult
    public func detached<Result: Sendable>(
        deadline: Duration, name: String = "detached", _ operation: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let origin = TraceContext.current
        var random = RandomSource.fromSystem()
        let trace = TraceContext(
            traceID: .random(&random), spanID: .random(&random),
            flags: origin?.flags ?? (TraceContext.sampledFlag | TraceContext.randomFlag))
        let notes = TraceNotes()
        detachedWork.began()
        // Nobody above waits for it, so that it is the root of its calls.
        let credit = runtime.snapshot.configuration.retryCredit.grant.map { SharedRetryCredit(granted: $0) }
        let criticality = RequestScope.current?.criticality ?? .standard
        let task = Task.detached { [self] in
            defer { detachedWork.ended() }
            let start = HostClock.now()
            var status = SpanStatus.error
            defer {
                let header = SpanHeader(
                    kind: .internal, traceID: trace.traceID, spanID: trace.spanID, parent: nil, start: start, end: HostClock.now(),
                    status: status)
                spans.recordRoot(header, trouble: notes.trouble.union(status == .error ? .error : [])) { span in
                    span.name(name)
                    span.add(.detached, true)
                    if let origin { span.link(origin.traceID, origin.spanID) }
                }
            }
            let result = try await RequestContext(deadline: start + Timespan(deadline), trace: trace, notes: notes).run {
                try await RequestScope.$current.withValue(
                    RequestScope(requestID: nil, credit: credit, criticality: criticality), operation: operation)
            }
            status = .unset
            return result
        }
        return try await task.value
    }
}

extension CallError {
    init(service: ServiceName, _ failure: CallFailure, deadline: Instant?) {
        self.init(
            service: service, flag: Flag(code: failure.flag.code), status: HTTPResponse.Status(code: failure.status),
            attempts: failure.attempt,
            remaining: deadline.map { .nanoseconds(max(0, ($0 - HostClock.now()).nanoseconds)) })
    }
}

extension Timespan {
    /// Saturates: a caller's "practically never" is far enough.
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflowToo) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
        self.init(nanoseconds: overflow || overflowToo ? (seconds < 0 ? .min / 4 : .max / 4) : min(sum, .max / 4))
    }
}

extension HTTPField.Name {
    // Both are valid tokens.
    static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
    static let meshRetry = HTTPField.Name("mesh-retry")!
}
