import ArgumentParser
import Curl
import MeshAdminAPI
import MeshTerminal

struct LogsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Show what the instances wrote, merged by time.",
        discussion: """
            Example:
              mesh logs orders inventory -f
              mesh logs --service ledger --since 10m --json | jq .fields
              mesh logs --trace last
              mesh logs catalog/v2 --last-crash
            """)

    @Argument(help: "Only these services.")
    var services: [String] = []

    @Option(name: .customLong("service"), help: "Only this service; may be given several times.")
    var serviceOptions: [String] = []

    @Flag(name: [.customShort("f"), .long], help: "Go on with what is written from now on.")
    var follow = false

    @Option(name: [.customShort("n"), .long], help: "How many lines to begin with: 100, or all with --since, --trace or --last-crash.")
    var lines: Int?

    @Option(help: ArgumentHelp("Only what was logged for this trace: its id, the beginning of one, or 'last'.", valueName: "id"))
    var trace: String?

    @Option(help: ArgumentHelp("Only what was written since then, such as 10m or 2h.", valueName: "duration"))
    var since: TimeBack?

    @Flag(help: "Only what the process said that crashed last, and how it ended.")
    var lastCrash = false

    @Flag(help: "One JSON object per line: {time, service, instance, stream, text, fields}; fields where text is a JSON object.")
    var json = false

    @Option(
        name: .long, help: "The mesh.yaml of the mesh (here without a short form: -f follows).",
        completion: .file(extensions: ["yaml", "yml"]))
    var file: String?

    @OptionGroup var outputOptions: OutputOptions

    mutating func validate() throws {
        if let lines, lines < 0 { throw ValidationError("--lines must not be negative.") }
        if follow, trace != nil { throw ValidationError("A trace is over: --trace does not go with -f.") }
    }

    func run() throws {
        let console = outputOptions.console
        let wanted = Set(services + serviceOptions)
        let isBounded = since != nil || trace != nil || lastCrash
        var query = [("lines", String(lines ?? (isBounded ? 100_000 : 100)))]
        if let since { query.append(("since", String(since.seconds))) }
        if lastCrash { query.append(("crash", "true")) }
        if !wanted.isEmpty { query.append(("service", wanted.sorted().joined(separator: ","))) }
        if let trace { query.append(("trace", trace.lowercased())) }
        if follow { query.append(("follow", "true")) }
        let location = try MeshLocation.find(file: file)
        try location.withDaemon { daemon in
            let unknown = wanted.subtracting(try daemon.instances().flatMap { Self.names(of: $0) })
            guard unknown.isEmpty else {
                throw CommandFailure("there is no service \(unknown.sorted().joined(separator: ", "))", hint: "mesh ps\(location.selector)")
            }
            var text = LogText(offset: LocalTime.offset)
            try daemon.lines(LogLine.self, "GET", AdminAPI.Path.logs, query: query) { line, bytes in
                if json {
                    console.write(bytes + [UInt8(ascii: "\n")])
                } else {
                    console.write([text.line(line)])
                }
                return .goOn
            }
        }
    }

    /// What an instance may be asked for by: its service, its version of it (`catalog/v2`), its own name.
    static func names(of instance: InstanceStatus) -> [String] {
        [instance.service, instance.instance] + (instance.version.map { ["\(instance.service)/\($0)"] } ?? [])
    }
}
