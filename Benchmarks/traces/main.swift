import Foundation
import MeshModel
import MeshStore
import MeshTelemetry

// Fills a trace store and asks it, so that both can be measured; README.md beside this file says how and what came out.

let arguments = Array(CommandLine.arguments.dropFirst())

func seconds(_ work: () throws -> Void) rethrows -> Double {
    let start = HostClock.now()
    try work()
    return (HostClock.now() - start).seconds
}

func milliseconds(_ seconds: Double) -> String { String(format: "%.1f ms", seconds * 1_000) }

/// The store of a mesh that has room for all of it.
func openStore(_ folder: String) -> TraceStore {
    var settings = TraceStore.Settings()
    settings.retention = Retention(age: .seconds(864_000), bytes: 8_000_000_000)
    return TraceStore(folder: folder, settings: settings)
}

/// Fills the folder with so many spans, told as if they had come over the last six hours.
func fill(_ folder: String, spans: Int) {
    let store = openStore(folder)
    let traces = max(1, spans / 13)
    let start = UnixTime(nanoseconds: HostClock.wall().nanoseconds - 21_600_000_000_000)
    var traffic = ShopTraffic(seed: 1, start: start, gap: .nanoseconds(21_600_000_000_000 / Int64(traces)))
    var spent = 0.0
    while traffic.spans < spans {
        // What comes in within a fifth of a second at a high load.
        let batches = traffic.batches(traces: 2_000)
        let wall = traffic.wall
        spent += seconds {
            guard case .stored = store.ingest(batches, now: HostClock.now(), wall: wall) else {
                print("not stored: \(store.status.failure?.reason ?? "?")")
                exit(1)
            }
        }
    }
    store.close()
    let status = store.status
    print("\(traffic.spans) spans of \(traffic.traces) traces in \(String(format: "%.1f", spent)) s of storing")
    print("ingest \(Int(Double(traffic.spans) / spent)) spans/s")
    print("disk \(String(format: "%.1f", Double(status.bytes) / Double(traffic.spans))) bytes a span, \(status.files) files")
}

func ask(_ folder: String) throws {
    let store = openStore(folder)
    print("read through, as a daemon does at its start: \(milliseconds(seconds { store.warm() }))")
    let latest = store.list(limit: 1).traces
    guard let last = latest.first else { return print("nothing is stored") }
    let older = store.list(limit: 5_000).traces.last ?? last
    func measure(_ name: String, _ work: () throws -> Int) rethrows {
        var times: [Double] = []
        var result = 0
        for _ in 0..<3 { times.append(try seconds { result = try work() }) }
        print(
            "\(name.padding(toLength: 44, withPad: " ", startingAt: 0)) first \(milliseconds(times[0])), then \(milliseconds(times[2])) (\(result))"
        )
    }
    try measure("show \(older.traceID.description.prefix(8))") { try store.show(older.traceID.description).nodes.count }
    try measure("show last") { try store.show("last").nodes.count }
    for query in [
        "", "time>300ms", "time>20s", "status>=500", "attempts>1", "service:ledger attempts>1 time>300ms", "route:/catalog*", "slower:p99",
        "self>290ms", "service:ledger self>290ms", "self>10s", "attr.mesh.destination:inventory attempts>1", "attr.order_id:42",
    ] {
        try measure("list '\(query)'") { store.list(try TraceQuery(query), limit: 20).traces.count }
    }
    let since = UnixTime(nanoseconds: HostClock.wall().nanoseconds - 3_600_000_000_000)
    measure("path, last hour") { store.path(.all, since: since).traces }
    try measure("path 'route:\"POST /orders\"'") { store.path(try TraceQuery(#"route:"POST /orders""#)).traces }
    try measure("compare 'route:\"POST /orders\"'") { store.compare(try TraceQuery(#"route:"POST /orders""#), with: nil).findings.count }
    measure("stats") { store.statistics(.all, by: TraceGrouping(by: .route)).groups.count }
}

/// Writes for ever, and says after each group how many traces are stored: to be killed.
func write(_ folder: String, seed: UInt64) {
    let store = TraceStore(folder: folder)
    var traffic = ShopTraffic(seed: seed, start: HostClock.wall(), gap: .microseconds(10))
    while true {
        guard case .stored = store.ingest(traffic.batches(traces: 20)) else { continue }
        // At once, whatever standard output is.
        FileHandle.standardOutput.write(Data("\(traffic.traces)\n".utf8))
    }
}

switch (arguments.first, arguments.dropFirst().first) {
case ("fill", let folder?): fill(folder, spans: arguments.count > 2 ? Int(arguments[2]) ?? 10_000_000 : 10_000_000)
case ("ask", let folder?): try ask(folder)
case ("write", let folder?): write(folder, seed: arguments.count > 2 ? UInt64(arguments[2]) ?? 1 : 1)
default:
    print("usage: trace-benchmark fill FOLDER [SPANS] | ask FOLDER | write FOLDER [SEED]")
    exit(2)
}
