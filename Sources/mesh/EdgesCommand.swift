import ArgumentParser
import MeshAdminAPI
import MeshTerminal

struct EdgesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "edges", abstract: "The edges of the graph: how calls from one service to another are doing.",
        discussion: """
            Of the last ten seconds. P50 and P99 are milliseconds to the answer's head, TRIES attempts per call; BUDGET LEFT is what \
            the deadlines of requests had left when the slowest hundredth of their calls ended.

            Example:
              mesh edges
              mesh edges --json | jq '.[] | select(.breaker != "closed")'
            """)

    @Flag(help: "As JSON (docs/cli.md).")
    var json = false

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    func run() throws {
        let console = outputOptions.console
        let location = try MeshLocation.find(file: mesh.file)
        try location.withDaemon { daemon in
            let bytes = try daemon.get(AdminAPI.Path.edges)
            guard !json else { return JSONOutput.write(bytes, to: console) }
            let edges = try AdminJSON.decode([EdgeStatus].self, from: bytes)
            guard !edges.isEmpty else {
                return console.tell(
                    StyledText("nothing is known of any edge yet") + StyledText("   next: mesh ps\(location.selector)", .cyan))
            }
            console.write(EdgeTable.lines(edges, width: console.output.width))
        }
    }
}

struct StatCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stat", abstract: "The golden signals of every service: traffic, errors, latency, saturation.",
        discussion: """
            Of the last ten seconds, as the callers of a service see it. P50 and P99 are milliseconds to the answer's head.

            Example:
              mesh stat
              mesh stat --json | jq '.[] | {service, rps, p99_ms}'
            """)

    @Flag(help: "As JSON (docs/cli.md).")
    var json = false

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    func run() throws {
        let console = outputOptions.console
        let location = try MeshLocation.find(file: mesh.file)
        try location.withDaemon { daemon in
            let bytes = try daemon.get(AdminAPI.Path.services)
            guard !json else { return JSONOutput.write(bytes, to: console) }
            let services = try AdminJSON.decode([ServiceSignals].self, from: bytes)
            guard !services.isEmpty else {
                return console.tell(
                    StyledText("no service has told of its calls yet") + StyledText("   next: mesh ps\(location.selector)", .cyan))
            }
            console.write(EdgeTable.lines(services, width: console.output.width))
        }
    }
}

struct WhyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why", abstract: "Why an edge is as it is: its breakers' story, and what was refused or repeated.",
        discussion: """
            Example:
              mesh why orders inventory
              mesh why gateway orders --json | jq '.events[] | select(.what == "opened") | .trace_id'
            """)

    @Argument(help: "The service that calls; 'gateway' for the way in.")
    var from: String

    @Argument(help: "The service that is called.")
    var to: String

    @Flag(help: "As JSON (docs/cli.md).")
    var json = false

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    func run() throws {
        let console = outputOptions.console
        try MeshLocation.find(file: mesh.file).withDaemon { daemon in
            let path = "\(AdminAPI.Path.edges)/\(DaemonClient.escaped(from))/\(DaemonClient.escaped(to))"
            let bytes = try daemon.get(path)
            guard !json else { return JSONOutput.write(bytes, to: console) }
            let explanation = try AdminJSON.decode(EdgeExplanation.self, from: bytes)
            console.write(EdgeStory.lines(explanation, now: .now, offset: LocalTime.offset, width: console.output.width))
        }
    }
}
