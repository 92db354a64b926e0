import ArgumentParser
import Curl
import Foundation
import MeshAdminAPI
import MeshTerminal

struct LoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "Send requests through the gateway at a steady rate; show latency and the slowest traces.",
        discussion: """
            The rate is kept whatever the answers do, and latency counts from the time at which a request was meant to be sent. \
            P50, P99 and P99.9 are milliseconds; an error is a 5xx, or no answer. Ctrl-C shows what there is so far.

            Example:
              mesh load GET /catalog --rate 500/s --for 60s
              mesh load 'POST /orders' -d @order.json -H 'Content-Type: application/json' --rate 50
              mesh load GET / --rate 200 --for 10s --json | jq .p99_ms
            """)

    @Argument(help: ArgumentHelp("The method and the path; a path alone is a GET.", valueName: "method path"))
    var target: [String]

    @Option(help: ArgumentHelp("Requests per second: 500/s or 500.", valueName: "rate"))
    var rate = RateArgument(perSecond: 50)

    @Option(name: .customLong("for"), help: ArgumentHelp("For how long: 30s, 5m.", valueName: "time"))
    var duration = DurationArgument(milliseconds: 10_000)

    @Option(name: [.customShort("d"), .customLong("data")], help: "The body; @FILE reads a file, @- standard input.")
    var data: String?

    @Option(
        name: [.customShort("H"), .customLong("header")],
        help: ArgumentHelp("A field, 'Name: value'; may be given several times.", valueName: "field"))
    var headers: [String] = []

    @Option(help: ArgumentHelp("Connections at once, at most.", valueName: "number"))
    var connections = 256

    @Option(help: ArgumentHelp("How long an answer may take.", valueName: "time"))
    var timeout = DurationArgument(milliseconds: 30_000)

    @Flag(help: "One JSON object (docs/cli.md).")
    var json = false

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    func validate() throws {
        _ = try RequestArguments.request(target, data: data, headers: headers, to: "http://mesh")
        if !(1...4096).contains(connections) { throw ValidationError("--connections takes 1 to 4096.") }
    }

    func run() throws {
        // Before any other thread: they inherit the mask.
        let signals = SignalWatch()
        let console = outputOptions.console
        let location = try MeshLocation.find(file: mesh.file)
        let base = try location.withDaemon { try $0.gatewayURL(location) }
        var request = try RequestArguments.request(target, data: data, headers: headers, to: base)
        if let data { request.body = .bytes(try RequestArguments.body(data)) }
        request.timeout = .milliseconds(Int64(timeout.milliseconds))
        let generator = LoadGenerator(
            LoadGenerator.Plan(
                request: request, rate: rate.perSecond, duration: duration.milliseconds / 1000, mostConnections: connections))
        signals.onSignal { _ in generator.stop() }
        let result = generator.run { sofar in
            console.show(
                ProgressUpdate(
                    settled: [],
                    live: [
                        StyledText(
                            "\(sofar.sent) sent, \(sofar.errors) errors, p99 \(sofar.p99MS.map(Quantities.duration(milliseconds:)) ?? "-")")
                    ]))
        }
        console.show(ProgressUpdate(settled: [], live: []))
        guard !json else { return JSONOutput.write(try AdminJSON.encode(result), to: console) }
        console.write(LoadText.lines(result, selector: location.selector))
    }
}

/// `500/s`, or `500`.
struct RateArgument: ExpressibleByArgument, Hashable, CustomStringConvertible {
    var perSecond: Double

    init(perSecond: Double) { self.perSecond = perSecond }

    init?(argument: String) {
        guard let number = Double(argument.hasSuffix("/s") ? String(argument.dropLast(2)) : argument), number > 0, number <= 1_000_000
        else { return nil }
        perSecond = number
    }

    var description: String { "\(Quantities.decimal(perSecond, 0))/s" }
}
