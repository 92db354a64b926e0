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
              mesh logs --service ledger --lines 20 --json
              mesh logs --trace last
            """)

    @Argument(help: "Only these services.")
    var services: [String] = []

    @Option(name: .customLong("service"), help: "Only this service; may be given several times.")
    var serviceOptions: [String] = []

    @Flag(name: [.customShort("f"), .long], help: "Go on with what is written from now on.")
    var follow = false

    @Option(name: [.customShort("n"), .long], help: "How many lines to begin with.")
    var lines = 100

    @Option(help: ArgumentHelp("Only what was logged for this trace: its id, the beginning of one, or 'last'.", valueName: "id"))
    var trace: String?

    @Flag(help: "One JSON object per line: {time, service, instance, stream, text}.")
    var json = false

    @Option(
        name: .long, help: "The mesh.yaml of the mesh (here without a short form: -f follows).",
        completion: .file(extensions: ["yaml", "yml"]))
    var file: String?

    @OptionGroup var outputOptions: OutputOptions

    mutating func validate() throws {
        if lines < 0 { throw ValidationError("--lines must not be negative.") }
        if follow, trace != nil { throw ValidationError("A trace is over: --trace does not go with -f.") }
    }

    func run() throws {
        let console = outputOptions.console
        let wanted = Set(services + serviceOptions)
        var query = [("lines", String(lines))]
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
