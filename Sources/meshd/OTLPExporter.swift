import Dispatch
import HTTPTypes
import Logging
import MeshConfiguration
import MeshExchange
import MeshModel
import MeshOTLP
import MeshPolicy
import MeshTelemetry
import MeshTransport
import NIOCore

/// Sends kept spans on to the collectors of `traces.export`, over the same engine that carries the mesh's own calls.
///
/// Each collector has a queue of its own (`ExportQueue`), so that one that is away costs the others nothing.
final class OTLPExporter: Sendable {
    private struct State {
        var runtime: MeshRuntime?
        var lanes: [MeshDocument.Traces.Export: ExportLane] = [:]
        /// Dropped by lanes that are gone.
        var droppedBefore: UInt64 = 0
    }

    private let logger: Logger
    private let state = Guarded(State())

    init(logger: Logger) { self.logger = logger }

    /// Sends to these from now on.
    func follow(_ exports: [MeshDocument.Traces.Export]) {
        let ended: [ExportLane] = state.withLock { state in
            guard Set(exports) != Set(state.lanes.keys) else { return [] }
            let configuration = Self.configuration(exports)
            do {
                if let runtime = state.runtime {
                    try runtime.install(configuration)
                } else {
                    state.runtime = try MeshRuntime(configuration, threads: 1)
                }
            } catch {
                logger.error("can't export traces: \(error)")
                return []
            }
            guard let runtime = state.runtime else { return [] }
            var ended: [ExportLane] = []
            for (export, lane) in state.lanes where !exports.contains(export) {
                ended.append(lane)
                state.lanes[export] = nil
            }
            for export in exports where state.lanes[export] == nil {
                state.lanes[export] = ExportLane(export, destination: Self.destination(export), runtime: runtime, logger: logger)
            }
            return ended
        }
        for lane in ended {
            let dropped = lane.end()
            state.withLock { $0.droppedBefore += dropped }
        }
    }

    func send(_ batches: [SpanBatch]) {
        for lane in state.withLock({ Array($0.lanes.values) }) { lane.arrived(batches) }
    }

    var counters: (sent: UInt64, dropped: UInt64, problems: [String]) {
        let (lanes, before) = state.withLock { (Array($0.lanes.values), $0.droppedBefore) }
        return lanes.reduce(into: (0, before, [])) { sum, lane in
            let counters = lane.counters
            sum.0 += counters.sent
            sum.1 += counters.dropped
            if let failure = counters.failure { sum.2.append("traces can't be sent to \(lane.name): \(failure)") }
        }
    }

    /// Ends all sending; what waits is not sent any more.
    func shutdown() async {
        follow([])
        await state.withLock { $0.runtime }?.shutDown()
    }

    /// A name that may stand where a host does, which the text of a URL may not.
    private static func destination(_ export: MeshDocument.Traces.Export) -> String { export.endpoint.instance.description }

    private static func configuration(_ exports: [MeshDocument.Traces.Export]) -> SnapshotConfiguration {
        // Its own queue tries again, later than a retry would.
        let policy = CallPolicy(timeout: .seconds(10), retry: RetryPolicy(attempts: 1, never: true), breaker: nil)
        return SnapshotConfiguration(
            mesh: "export", service: "meshd",
            destinations: exports.map { export in
                var policy = policy
                policy.tls = export.tls
                return DestinationConfiguration(
                    service: destination(export), policy: policy, endpoints: [export.endpoint], isExternal: true)
            })
    }
}

/// The sending to one collector.
final class ExportLane: Sendable {
    private struct State {
        var queue = ExportQueue()
        var random = RandomSource.fromSystem()
        var timerAt: Instant?
    }

    /// As mesh.yaml has it.
    let name: String
    private let destination: String
    private let headers: HTTPFields
    private let runtime: MeshRuntime
    private let logger: Logger
    private let state = Guarded(State())

    init(_ export: MeshDocument.Traces.Export, destination: String, runtime: MeshRuntime, logger: Logger) {
        name = export.text
        self.destination = destination
        var headers = HTTPFields()
        for header in export.headers {
            if let name = HTTPField.Name(header.name) { headers.append(HTTPField(name: name, value: header.value)) }
        }
        headers[.contentType] = OTLPForm.protobuf.rawValue
        self.headers = headers
        self.runtime = runtime
        self.logger = logger
    }

    var counters: ExportQueue.Counters { state.withLock { $0.queue.counters } }

    func arrived(_ batches: [SpanBatch]) {
        state.withLock { $0.queue.arrived(batches, now: HostClock.now()) }
        pump()
    }

    /// Gives up what waits, and says how many spans of this lane were dropped in all.
    func end() -> UInt64 {
        state.withLock { state in
            state.queue.abandon()
            return state.queue.counters.dropped
        }
    }

    /// Sends what is due, or waits until something is.
    private func pump() {
        let now = HostClock.now()
        let (batches, wakeAt) = state.withLock { state -> ([SpanBatch]?, Instant?) in
            if let batches = state.queue.next(now: now) { return (batches, nil) }
            guard let wakeAt = state.queue.wakeAt, state.timerAt.map({ wakeAt < $0 }) ?? true else { return (nil, nil) }
            state.timerAt = wakeAt
            return (nil, wakeAt)
        }
        if let batches {
            Task { await send(batches) }
        } else if let wakeAt {
            let span = max(0, (wakeAt - now).nanoseconds)
            DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(Int(span))) { [weak self] in
                self?.state.withLock { $0.timerAt = nil }
                self?.pump()
            }
        }
    }

    private func send(_ batches: [SpanBatch]) async {
        let request = OTLPExportTraceServiceRequest(batches.flatMap { (try? $0.decoded().spans) ?? [] })
        let before = counters.failure
        do {
            let response = try await runtime.call(
                destination, method: .post, path: "/v1/traces", fields: headers, body: .bytes(ByteBuffer(bytes: request.serialized())))
            let body = Array(try await response.body.collect(upTo: 1 << 20).readableBytesView)
            finished(response.status, response.fields[.retryAfter], body)
        } catch {
            failed("\(error)")
        }
        // Said when it changes, not with every try.
        if let failure = counters.failure, failure != before { logger.warning("traces can't be sent to \(name): \(failure)") }
        pump()
    }

    private func finished(_ status: Int, _ retryAfter: String?, _ body: [UInt8]) {
        switch status {
        case 200..<300:
            let answer = OTLPExportTraceServiceResponse(answer: body)
            state.withLock {
                $0.queue.sent(
                    rejected: Int(clamping: answer?.partialSuccess.rejectedSpans ?? 0), reason: answer?.partialSuccess.errorMessage,
                    now: HostClock.now())
            }
        // Those that OTLP lets a client try again.
        case 429, 502, 503, 504:
            failed("it answered \(status)", after: retryAfter.flatMap { Int64($0) }.map { .seconds(max(0, min($0, 3600))) })
        default: failed("it answered \(status)", isFinal: true)
        }
    }

    private func failed(_ reason: String, isFinal: Bool = false, after: Timespan? = nil) {
        state.withLock { state in
            state.queue.failed(reason, isFinal: isFinal, after: after, now: HostClock.now(), random: &state.random)
        }
    }
}
