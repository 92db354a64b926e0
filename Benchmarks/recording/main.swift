import Foundation
import MeshModel
import MeshStore
import MeshTelemetry

// Measures what recording costs whoever records, and what the daemon can take in; Benchmarks/README.md says how and what came out.

let usage = """
    usage: recording-benchmark record [SPANS]     spans that a reader makes room for: ns a span
           recording-benchmark full [SPANS]       spans that find no room: ns a span, and the slowest
           recording-benchmark intake [SECONDS] [SPANS A SECOND] [SHARE OF TRACES KEPT]
                                                  from rings to disk: spans/s, losses, CPU, bytes a span
           recording-benchmark --mesh FILE [--record]
                                                  a gateway that records spans or does not, for Benchmarks/instructions
    """
let arguments = Array(CommandLine.arguments.dropFirst())

func argument(_ index: Int, or standard: Double) -> Double { arguments.count > index ? Double(arguments[index]) ?? standard : standard }

func text(_ value: Double, _ digits: Int = 1) -> String { String(format: "%.\(digits)f", value) }

/// CPU seconds so far: `CLOCK_PROCESS_CPUTIME_ID`, or `CLOCK_THREAD_CPUTIME_ID`.
func cpu(_ clock: clockid_t) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1_000_000_000
}

/// Records a gateway's spans as fast as they come, while a thread reads them as the daemon does.
func record(_ spans: Int) throws {
    let pipeline = TelemetryPipeline(origin: SpanOrigin(instance: InstanceID(high: 1, low: 1), service: "gateway", tier: "edge"))
    let recorder = pipeline.makeRecorder()
    let reader = try RingReading(pipeline)
    var request = RequestSpans(seed: 1)
    var recorded = 0
    let start = HostClock.now()
    while recorded < spans {
        request.next()
        recorded += request.recordCaller(in: recorder, isEdge: true, decision: .all)
    }
    let spent = HostClock.now() - start
    let read = reader.end()
    print("\(recorded) spans in \(text(spent.seconds, 2)) s: \(text(Double(spent.nanoseconds) / Double(recorded), 0)) ns a span")
    print("\(read) read, \(pipeline.dropped) found no room")
}

/// The same with nobody to read: each is dropped and counted, and none may wait.
func recordWithoutReader(_ spans: Int) throws {
    let pipeline = TelemetryPipeline(origin: SpanOrigin(instance: InstanceID(high: 1, low: 1), service: "gateway", tier: "edge"))
    let recorder = pipeline.makeRecorder()
    var request = RequestSpans(seed: 1)
    while pipeline.dropped == 0 {
        request.next()
        _ = request.recordCaller(in: recorder, isEdge: true, decision: .all)
    }
    let before = pipeline.dropped
    var recorded = 0
    var slowest = Timespan.zero
    let start = HostClock.now()
    var last = start
    while recorded < spans {
        request.next()
        recorded += request.recordCaller(in: recorder, isEdge: true, decision: .all)
        let now = HostClock.now()
        slowest = max(slowest, now - last)
        last = now
    }
    let spent = last - start
    print("\(text(Double(spent.nanoseconds) / Double(recorded), 0)) ns a span; the slowest request took \(slowest.nanoseconds / 1000) us")
    print("\(pipeline.dropped - before) of \(recorded) dropped, each counted")
}

/// Three processes' rings, read by the daemon's collector over its socket, and what is kept stored on disk.
func takeIn(seconds: Double, rate: Double, share: Double) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "recording-benchmark-\(getpid())").path()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let store = TraceStore(folder: folder + "/traces")
    let intake = TraceIntake(store: store)
    intake.start()
    let collector = SpanCollector { batches in
        for batch in batches { intake.acceptOrDrop(batch) }
    }
    if share < 1 { collector.setKeeping(TraceKeeping(rest: share)) }
    let socket = folder + "/spans.sock"
    try collector.start(path: socket)
    let pipelines = [("gateway", "edge"), ("orders", "domain"), ("inventory", "enterprise")].enumerated().map { number, name in
        let origin = SpanOrigin(instance: InstanceID(high: 1, low: UInt64(number + 1)), service: name.0, tier: name.1)
        let pipeline = TelemetryPipeline(origin: origin, daemon: socket)
        pipeline.start()
        return pipeline
    }
    while collector.counters.sources < pipelines.count { usleep(1000) }

    let recorders = pipelines.map { $0.makeRecorder() }
    var request = RequestSpans(seed: 1)
    var recorded = 0
    var traces = 0
    let (allBefore, ownBefore) = (cpu(CLOCK_PROCESS_CPUTIME_ID), cpu(CLOCK_THREAD_CPUTIME_ID))
    let start = HostClock.now()
    var now = start
    while now - start < Timespan.milliseconds(Int64(seconds * 1000)) {
        let due = Int((now - start).seconds * rate)
        while recorded < due {
            request.next()
            traces += 1
            let decision = request.isIn(share: share) ? KeepReason.sampled : .notKept
            recorded += request.record(in: recorders, decision: share < 1 ? decision : .all)
        }
        usleep(2000)
        now = HostClock.now()
    }
    let spent = (now - start).seconds
    collector.turn()
    intake.flush()
    let behind = (HostClock.now() - now).seconds
    let reading = (cpu(CLOCK_PROCESS_CPUTIME_ID) - allBefore) - (cpu(CLOCK_THREAD_CPUTIME_ID) - ownBefore)
    collector.shutdown()
    intake.shutdown()
    let (keeper, status) = (collector.counters.keeper, store.status)
    let dropped = pipelines.reduce(0) { $0 + $1.dropped }
    print("\(recorded) spans of \(traces) traces in \(text(spent)) s: \(text(Double(recorded) / spent, 0)) spans/s")
    print("read \(keeper.arrived), kept \(keeper.kept), not kept \(keeper.notKept), stored \(status.storedSpans)")
    print("lost: \(dropped) in rings, \(keeper.lost) held, \(intake.counters.droppedSpans) before the disk")
    print("\(text(behind * 1000, 0)) ms behind at the end; reading and storing took \(text(reading / spent * 100, 0)) % of one core")
    if status.storedSpans > 0 { print("\(text(Double(status.bytes) / Double(status.storedSpans))) bytes a span on disk") }
}

switch arguments.first {
case "record": try record(Int(argument(1, or: 3_000_000)))
case "full": try recordWithoutReader(Int(argument(1, or: 3_000_000)))
case "intake": try takeIn(seconds: argument(1, or: 20), rate: argument(2, or: 150_000), share: min(max(argument(3, or: 1), 0), 1))
case "--mesh" where arguments.count > 1: try runGateway(mesh: arguments[1], isRecording: arguments.contains("--record"))
default:
    print(usage)
    exit(2)
}
