import MeshModel
import MeshTelemetry

/// The spans of one request through three tiers, with the attributes that a forwarded call gets.
struct RequestSpans {
    private var random: RandomSource
    private var traceID = TraceID(high: 1, low: 1)
    private var spanID = SpanID(1)
    private let method = Array("GET".utf8)
    private let path = Array("/orders/8d0c2f4e".utf8)
    private let address = Array("127.0.0.1".utf8)
    private let endpoint = InstanceID(high: 0x5_0000, low: 0x8000_0000_0000_0007)

    init(seed: UInt64) { random = RandomSource(seed: seed) }

    /// The next request is another trace.
    mutating func next() {
        traceID = .random(&random)
        spanID = .random(&random)
    }

    func isIn(share: Double) -> Bool { Double(traceID.low & 0x00ff_ffff_ffff_ffff) < share * 0x1p56 }

    /// What all processes record of it: the gateway, a service that calls another, and one that calls nobody.
    ///
    /// - Returns: how many spans.
    mutating func record(in recorders: [SpanRecorder], decision: KeepReason) -> Int {
        var count = recordServer(in: recorders[2], parent: span(5), own: span(6))
        count += recordCaller(in: recorders[1], parent: span(2), first: 3)
        count += recordCaller(in: recorders[0], isEdge: true, decision: decision)
        return count
    }

    /// The request, its call and the one attempt, as a process records them that passes it on.
    func recordCaller(
        in recorder: SpanRecorder, isEdge: Bool = false, parent: SpanID? = nil, first: UInt64 = 0, decision: KeepReason? = nil
    ) -> Int {
        let (own, call, attempt) = (span(first), span(first + 1), span(first + 2))
        let end = HostClock.now()
        if decision == .notKept {
            recorder.record(
                SpanHeader(kind: .gateway, traceID: traceID, spanID: own, parent: nil, start: end, end: end, decision: decision)
            ) {
                _ in
            }
            return 1
        }
        let start = end + .microseconds(-900)
        path.withUnsafeBytes { path in
            method.withUnsafeBytes { method in
                let note = recorder.open(isEdge ? .gateway : .server, traceID, own, parent: parent, start: start, name: path)
                recorder.record(SpanHeader(kind: .attempt, traceID: traceID, spanID: attempt, parent: call, start: start, end: end)) {
                    span in
                    span.name("orders")
                    span.add(.destination, "orders")
                    span.add(.attempt, 1)
                    span.add(.endpoint, endpoint)
                    span.add(.httpRequestMethod, method)
                    span.add(.serverAddress, "/tmp/mesh-1000/0123456789abcdef/orders-1.sock")
                    span.add(.networkTransport, "unix")
                    span.add(.httpResponseStatusCode, 200)
                    span.add(.firstByteMicroseconds, 812)
                }
                recorder.record(SpanHeader(kind: .call, traceID: traceID, spanID: call, parent: own, start: start, end: end)) { span in
                    span.name("orders")
                    span.add(.destination, "orders")
                    span.add(.destinationTier, "domain")
                    span.add(.httpRequestMethod, method)
                    span.add(.urlPath, path)
                    span.add(.httpResponseStatusCode, 200)
                    span.add(.attempts, 1)
                }
                if let note { recorder.close(note) }
                recorder.record(
                    SpanHeader(
                        kind: isEdge ? .gateway : .server, traceID: traceID, spanID: own, parent: parent, start: start, end: end,
                        decision: decision)
                ) { span in addRequest(to: &span, method, path, isEdge: isEdge) }
            }
        }
        return 3
    }

    private func recordServer(in recorder: SpanRecorder, parent: SpanID, own: SpanID) -> Int {
        let end = HostClock.now()
        path.withUnsafeBytes { path in
            method.withUnsafeBytes { method in
                recorder.record(
                    SpanHeader(kind: .server, traceID: traceID, spanID: own, parent: parent, start: end + .microseconds(-300), end: end)
                ) { span in addRequest(to: &span, method, path, isEdge: false) }
            }
        }
        return 1
    }

    private func addRequest(
        to span: inout SpanWriter, _ method: UnsafeRawBufferPointer, _ path: UnsafeRawBufferPointer, isEdge: Bool
    ) {
        let route: StaticString = "/orders/**"
        span.name(method: method, route: UnsafeRawBufferPointer(start: route.utf8Start, count: route.utf8CodeUnitCount))
        span.add(.httpRoute, route)
        span.add(.httpRequestMethod, method)
        span.add(.urlPath, path)
        if isEdge {
            span.add(.serverAddress, "localhost")
            span.add(.serverPort, 8080)
            address.withUnsafeBytes { address in
                span.add(.clientAddress, address)
                span.add(.networkPeerAddress, address)
            }
            span.add(.networkProtocolVersion, "1.1")
            span.add(.userAgentOriginal, "curl/8.5.0")
        }
        span.add(.httpResponseStatusCode, 200)
    }

    private func span(_ number: UInt64) -> SpanID { SpanID(spanID.value &+ number | 1 << 63) }
}
