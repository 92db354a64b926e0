import ArgumentParser
import MeshAdminAPI
import MeshTerminal

/// `mesh`: what a person does with a mesh.
struct MeshCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mesh",
        abstract: "Run, watch and understand a mesh of services that are processes.",
        discussion: """
            A mesh is described by a mesh.yaml. A command takes the one named by -f, else the one in this folder or a folder above it; \
            with MESH_STATE_DIR set, the mesh whose state lies there.

            Example:
              mesh up -d && mesh call GET /catalog && mesh traces show last && mesh down

            Exit codes: 0 done, 1 an error, 2 wrong use, 3 warnings under 'check --strict', 130 ended by a second Ctrl-C.
            """,
        version: AdminAPI.releaseVersion,
        subcommands: [
            CheckCommand.self, PlanCommand.self, ExplainCommand.self, SimulateCommand.self, UpCommand.self, DownCommand.self,
            PsCommand.self,
            LogsCommand.self, TopCommand.self, RestartCommand.self, ScaleCommand.self, DeployCommand.self, RollbackCommand.self,
            CallCommand.self,
            LoadCommand.self, StatCommand.self, EdgesCommand.self, WhyCommand.self, FaultCommand.self, TracesCommand.self,
            DoctorCommand.self,
        ])
}

/// Which mesh.
struct FileOption: ParsableArguments {
    @Option(
        name: [.short, .long], help: ArgumentHelp("The mesh.yaml of the mesh.", valueName: "file"),
        completion: .file(extensions: ["yaml", "yml"]))
    var file: String?
}

/// Which part of `profiles:`.
struct ProfileOption: ParsableArguments {
    @Option(help: ArgumentHelp("Lay this part of 'profiles:' over the file.", valueName: "name"))
    var profile: String?
}

/// How to write.
struct OutputOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Fit the output to this many columns.", valueName: "columns"))
    var width: Int?

    @Flag(name: .customLong("no-color"), help: "No colours, also in a terminal (as does NO_COLOR).")
    var noColour = false

    mutating func validate() throws {
        if let width, width < 20 { throw ValidationError("--width must be at least 20 columns.") }
    }

    var console: Console { Console(wantedWidth: width, wantsColour: !noColour) }
}
