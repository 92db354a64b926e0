import MeshAdminAPI
import Testing

/// Others script against these shapes: fields may come, none goes.
@Suite struct WireShapeTests {
    private func text(_ value: some Encodable) throws -> String { String(decoding: try AdminJSON.encode(value), as: UTF8.self) }
    private let noon = Timestamp(nanoseconds: 1_777_637_049_120_000_000)

    @Test func instancesHaveEveryFieldAlsoWhereThereIsNothingToSay() throws {
        let instance = InstanceStatus(service: "crm", tier: "enterprise", instance: "crm-1", state: .crashLoop, ready: false)
        #expect(
            try text([instance])
                == #"[{"address":null,"cpu_percent":null,"instance":"crm-1","instance_id":null,"last_error_line":null,"last_exit":null,"limits":null,"next_restart_in_s":null,"pid":null,"ready":false,"refusal":null,"restarts":0,"revision":null,"rss_bytes":null,"rules":null,"service":"crm","started_at":null,"state":"crash_loop","tier":"enterprise","version":null}]"#
        )
        #expect(InstanceState.allCases.map(\.rawValue) == ["starting", "ready", "unready", "draining", "stopped", "crash_loop"])
    }

    @Test func traceSummaries() throws {
        let summary = TraceSummary(
            traceID: "ab", startedAt: noon, route: "POST /orders", status: nil, durationMS: 362.5, services: ["gateway"], attempts: 2,
            flags: ["UT"], tiers: [.init(tier: "edge", share: 0.25)])
        #expect(
            try text(summary)
                == #"{"attempts":2,"duration_ms":362.5,"flags":["UT"],"note":null,"route":"POST /orders","services":["gateway"],"started_at":"2026-05-01T12:04:09.120000Z","status":null,"tiers":[{"share":0.25,"tier":"edge"}],"trace_id":"ab"}"#
        )
    }

    @Test func spans() throws {
        let span = TraceSpan(
            spanID: "01", parentSpanID: nil, service: "crm", tier: "enterprise", instance: "crm-1", kind: .server,
            name: "GET /customers/{id}",
            startUnixNano: 5, durationNS: 7, status: "ok",
            attributes: ["a": .integer(1), "b": .boolean(true), "c": .string("x"), "d": .double(1.5), "e": .strings(["y"])],
            events: [.init(name: "retry", timeUnixNano: 6)])
        let json = try text(TraceDetail(traceID: "ab", spans: [span]))
        #expect(
            json
                == #"{"spans":[{"attributes":{"a":1,"b":true,"c":"x","d":1.5,"e":["y"]},"duration_ns":7,"events":[{"attributes":{},"name":"retry","time_unix_nano":6}],"instance":"crm-1","kind":"server","name":"GET /customers/{id}","parent_span_id":null,"service":"crm","span_id":"01","start_unix_nano":5,"status":"ok","tier":"enterprise"}],"trace_id":"ab"}"#
        )
        #expect(try AdminJSON.decode(TraceDetail.self, from: Array(json.utf8)) == TraceDetail(traceID: "ab", spans: [span]))
    }

    @Test func upEventsAreToldApartByTheirKind() throws {
        let tier = TierProgress(
            tier: "edge", services: [ServiceProgress(service: "gateway", ready: 1, wanted: 1)], urls: ["http://127.0.0.1:8080"],
            isDone: true,
            seconds: 0.5)
        let events: [UpEvent] = [
            .check(.init(file: "mesh.yaml", findings: 1)), .control(.init(address: "127.0.0.1", socket: "/s")),
            .change(.init(service: "crm", action: .restart, reason: "run")), .tier(tier), .warning(Notice(message: "m", hint: "h")),
            .finished(.init(processes: 1, seconds: 0.5)), .failed(UpFailure(service: "crm", reason: "r", hint: "h", output: ["o"])),
        ]
        for event in events {
            let line = try AdminJSON.line(event)
            #expect(line.last == UInt8(ascii: "\n"))
            #expect(!line.dropLast().contains(UInt8(ascii: "\n")))
            #expect(try AdminJSON.decode(UpEvent.self, from: line) == event)
        }
        #expect(
            try text(events[3])
                == #"{"done":true,"event":"tier","seconds":0.5,"services":[{"ready":1,"service":"gateway","wanted":1}],"tier":"edge","urls":["http://127.0.0.1:8080"]}"#
        )
        let down: [DownEvent] = [.tier(tier), .finished(.init(processes: 1, killed: 1, seconds: 2)), .warning(Notice(message: "m"))]
        for event in down { #expect(try AdminJSON.decode(DownEvent.self, from: AdminJSON.line(event)) == event) }
    }

    @Test func fieldsOfANewerDaemonAreIgnored() throws {
        let status = try AdminJSON.decode(
            DaemonStatus.self,
            from:
                #"{"protocol":1,"version":"9","pid":7,"mesh":"shop","file":null,"state_dir":"/s","started_at":"2026-05-01T12:04:09Z","phase":"ready","urls":[],"new":[1]}"#
                .utf8)
        #expect(status.phase == .ready)
        #expect(status.startedAt == Timestamp(nanoseconds: noon.nanoseconds - 120_000_000))
    }

    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0), ("1969-12-31T23:59:59.5Z", -500_000_000), ("2000-02-29T12:00:00+02:00", 951_818_400_000_000_000),
        ("2026-05-01T12:04:09.1234567891Z", 1_777_637_049_123_456_789),
    ])
    func timesAreRead(text: String, nanoseconds: Int64) {
        #expect(Timestamp(text)?.nanoseconds == nanoseconds)
    }

    @Test(arguments: [
        "", "2026-05-01", "2026-13-01T00:00:00Z", "2026-05-01T12:04:09", "2026-05-01T12:04:09.Z", "2026-05-01T12:04:09Zx",
        "9999-01-01T00:00:00Z",
    ])
    func whatIsNoTimeIsRefused(text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test func timesSurviveTheirText() {
        for nanoseconds in stride(from: Int64(-3_000_000_000_000_000_000), through: 8_000_000_000_000_000_000, by: 86_399_999_999_123_000) {
            let time = Timestamp(nanoseconds: nanoseconds)
            #expect(Timestamp(time.description) == time)
        }
    }
}
