import ArgumentParser
import Curl
import Foundation
import MeshAdminAPI
import MeshTerminal

struct CallCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "call", abstract: "Send one request through the gateway; show its phases and its trace.",
        discussion: """
            The body of the answer goes to standard output, all else to standard error. Ends with 0 when an answer came, whatever its status.

            Example:
              mesh call GET /catalog
              mesh call POST /orders -d '{"customer": "1", "items": [{"sku": "tea", "qty": 1}]}' -H 'Idempotency-Key: 7'
            """)

    @Argument(help: ArgumentHelp("The method and the path; a path alone is a GET.", valueName: "method path"))
    var target: [String]

    @Option(name: [.customShort("d"), .customLong("data")], help: "The body; @FILE reads a file, @- standard input.")
    var data: String?

    @Option(
        name: [.customShort("H"), .customLong("header")],
        help: ArgumentHelp("A field, 'Name: value'; may be given several times.", valueName: "field"))
    var headers: [String] = []

    @Flag(help: "One JSON object: {status, headers, body, phases_ms, trace_id, trace}.")
    var json = false

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    func validate() throws {
        _ = try request(to: "http://mesh")
    }

    func run() throws {
        let console = outputOptions.console
        let location = try MeshLocation.find(file: mesh.file)
        try location.withDaemon { daemon in
            var request = try request(to: daemon.gatewayURL(location))
            if let data { request.body = .bytes(try RequestArguments.body(data)) }
            // Its trace is shown below, so that it is kept whatever `traces.keep` says.
            if let key = try? String(contentsOfFile: location.stateFolder.keepKey, encoding: .utf8) {
                request.headers.append(CurlHeader("mesh-keep", key))
            }
            let response: CurlResponse
            do {
                response = try CurlClient().send(request)
            } catch {
                throw CommandFailure("\(request.method) \(request.url): \(error)", hint: "mesh ps\(location.selector)")
            }
            let traceID = response.headers["mesh-trace"]
            let trace = try traceID.flatMap { try Self.trace($0, from: daemon) }
            if json {
                JSONOutput.write(try AdminJSON.encode(CallReport(response, traceID: traceID, trace: trace)), to: console)
            } else {
                show(response, traceID: traceID, trace: trace, on: console)
            }
        }
    }

    /// The request that the arguments describe.
    func request(to base: String) throws -> CurlRequest {
        try RequestArguments.request(target, data: data, headers: headers, to: base)
    }

    /// Spans arrive in batches, a moment after the answer: waits until the trace is whole, within a bound.
    private static func trace(_ id: String, from daemon: DaemonClient) throws -> TraceDetail? {
        let deadline = ContinuousClock.now + .seconds(2)
        var last: TraceDetail?
        while true {
            do {
                let trace = try AdminJSON.decode(TraceDetail.self, from: daemon.get(AdminAPI.Path.traces + "/" + id))
                // A daemon that does not say whether a trace is whole: two looks that see the same.
                if trace.complete ?? (trace.spans.count == last?.spans.count) { return trace }
                last = trace
            } catch is CommandFailure {
                // Not stored yet.
            }
            guard ContinuousClock.now < deadline else { return last }
            usleep(50_000)
        }
    }

    private func show(_ response: CurlResponse, traceID: String?, trace: TraceDetail?, on console: Console) {
        let style: Style = response.status >= 500 ? .red : response.status >= 400 ? .yellow : .green
        console.tell([
            StyledText("\(response.version) ", .dim) + StyledText(String(response.status), style)
                + StyledText(response.headers["proxy-status"].map { "   " + DisplayWidth.printable($0) } ?? "", .dim),
            PhaseText.line(CallReport.phases(response.phases), width: console.messages.width),
        ])
        var body = response.body
        if console.output.isLive {
            // A terminal is not to be commanded by a body, nor the next prompt to stand behind it.
            let lines = response.text.split(separator: "\n", omittingEmptySubsequences: false).map { DisplayWidth.printable($0) }
            body = Array((lines.joined(separator: "\n") + (response.text.hasSuffix("\n") || body.isEmpty ? "" : "\n")).utf8)
        }
        console.write(body)
        // Where both go to one pipe, what is told does not begin in the body's last line.
        if !console.output.isLive, !body.isEmpty, body.last != UInt8(ascii: "\n") { console.tell(StyledText("")) }
        if let trace {
            console.tell([StyledText("trace \(trace.traceID)", .dim)] + Waterfall.lines(trace, width: console.messages.width))
        } else if let traceID {
            console.tell(
                StyledText("trace \(DisplayWidth.printable(traceID)) is not stored yet")
                    + StyledText("   next: mesh traces show \(DisplayWidth.printable(traceID))", .cyan))
        }
    }
}

/// `mesh call --json`.
private struct CallReport: Encodable {
    var status: Int
    var headers: [[String]]
    var body: String
    var phases: [String: Double]
    var traceID: String?
    var trace: TraceDetail?

    init(_ response: CurlResponse, traceID: String?, trace: TraceDetail?) {
        status = response.status
        headers = response.headers.map { [$0.name, $0.value] }
        body = response.text
        phases = Dictionary(uniqueKeysWithValues: Self.phases(response.phases).map { ($0.name.replacing(" ", with: "_"), $0.milliseconds) })
        self.traceID = traceID
        self.trace = trace
    }

    /// Lengths in milliseconds; `first byte` is the wait from the request's first byte to the answer's.
    static func phases(_ phases: CurlPhases) -> [(name: String, milliseconds: Double)] {
        func milliseconds(_ duration: Duration) -> Double {
            Double(duration.components.seconds) * 1e3 + Double(duration.components.attoseconds) / 1e15
        }
        return [
            ("dns", milliseconds(phases.dns)), ("connect", milliseconds(phases.connect)), ("tls", milliseconds(phases.tls)),
            ("first byte", milliseconds(phases.wait)), ("total", milliseconds(phases.total)),
        ]
    }

    private enum CodingKeys: String, CodingKey {
        case status, headers, body
        case phases = "phases_ms"
        case traceID = "trace_id"
        case trace
    }
}
