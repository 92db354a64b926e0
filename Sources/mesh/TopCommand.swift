import ArgumentParser
import Glibc
import MeshAdminAPI
import MeshTerminal

struct TopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top", abstract: "CPU, memory, descriptors and traffic of every instance, and of the machine.",
        discussion: """
            In a terminal it stays, and shows what is new every two seconds, until Ctrl-C; elsewhere, and with --once or --json, it prints \
            once. CPU is of one core, LAST MINUTE how it went. LIMIT is limits.memory. RPS and FAILED are what the instance answered in \
            the last ten seconds.

            Example:
              mesh top
              mesh top --sort memory
              mesh top --json | jq '.instances[] | {instance, rss: .usage.rss_bytes}'
            """)

    @Option(help: "What comes first: cpu, memory, traffic or name.")
    var sort = TopTable.Order.cpu

    @Flag(help: "Print once, also in a terminal.")
    var once = false

    @Flag(help: "As JSON (docs/cli.md).")
    var json = false

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    /// As often as the daemon looks.
    private static let lookEvery = 2.0

    func run() throws {
        let console = outputOptions.console
        let location = try MeshLocation.find(file: mesh.file)
        guard console.output.isLive, !once, !json else {
            return try location.withDaemon { daemon in
                let bytes = try daemon.get(AdminAPI.Path.top)
                guard !json else { return JSONOutput.write(bytes, to: console) }
                let report = try AdminJSON.decode(TopReport.self, from: bytes)
                console.write(TopTable.lines(report, by: sort, width: console.output.width))
            }
        }
        try watch(location, console)
    }

    private func watch(_ location: MeshLocation, _ console: Console) throws {
        let signals = SignalWatch()
        while signals.count == 0 {
            try location.withDaemon { daemon in
                let report = try AdminJSON.decode(TopReport.self, from: daemon.get(AdminAPI.Path.top))
                // The terminal may have been made larger or smaller.
                let screen = Console.screen(STDOUT_FILENO)
                let width = outputOptions.width ?? screen.columns - 1
                // The last line is where the cursor stands.
                console.rewrite(TopTable.lines(report, by: sort, width: width, rows: screen.rows - 1))
            }
            _ = signals.wait(seconds: Self.lookEvery)
        }
    }
}

extension TopTable.Order: ExpressibleByArgument {}
