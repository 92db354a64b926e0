import ArgumentParser
import MeshAdminAPI
import MeshTerminal

struct PsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ps", abstract: "Show what runs: services, instances, restarts.",
        discussion: """
            Example:
              mesh ps
              mesh ps --json | jq '.[] | select(.ready | not)'
            """)

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    @Flag(help: "One object per instance (docs/cli.md).")
    var json = false

    func run() throws {
        let console = outputOptions.console
        try MeshLocation.find(file: mesh.file).withDaemon { daemon in
            let bytes = try daemon.get(AdminAPI.Path.instances)
            guard !json else { return JSONOutput.write(bytes, to: console) }
            let instances = try AdminJSON.decode([InstanceStatus].self, from: bytes)
            console.write(InstanceTable.lines(instances, width: console.output.width))
            let statistics = try AdminJSON.decode(MeshStatistics.self, from: daemon.get(AdminAPI.Path.statistics))
            console.tell(StatisticsText.warnings(statistics))
        }
    }
}
