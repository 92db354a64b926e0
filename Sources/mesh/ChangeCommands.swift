import ArgumentParser
import Curl
import Foundation
import MeshAdminAPI
import MeshTerminal

/// What the commands that change a running mesh have in common: they ask the daemon, draw how it goes, and end with 1 if it failed.
struct ChangeSession {
    let location: MeshLocation
    let console: Console

    func run(_ request: ChangeRequest) throws {
        let signals = SignalWatch()
        let cancellation = CurlCancellation()
        signals.onSignal { _ in cancellation.cancel() }
        try location.withDaemon { daemon in
            var progress = UpProgress(width: console.progressWidth, nextCommands: "mesh ps · mesh logs · mesh rollback")
            var hasFailed: Bool?
            do {
                try daemon.lines(
                    UpEvent.self, "POST", AdminAPI.Path.changes, body: try AdminJSON.encode(request), cancellation: cancellation
                ) { event, _ in
                    switch event {
                    case .finished: hasFailed = false
                    case .failed: hasFailed = true
                    case .check, .control, .change, .tier, .stage, .warning: break
                    }
                    console.show(progress.apply(event))
                    return .goOn
                }
            } catch let error as CurlError where error.kind == .cancelled {
                throw CommandFailure(
                    "interrupted; the daemon goes on with what it was doing", hint: "mesh ps\(location.selector)",
                    exitCode: CommandFailure.interrupted)
            }
            switch hasFailed {
            case false: return
            case true: throw AlreadyTold()
            default: throw CommandFailure("the daemon did not say how it ended", hint: "mesh ps\(location.selector)")
            }
        }
    }
}

struct RestartCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restart", abstract: "Replace the processes of services by new ones, without losing a request.",
        discussion: """
            New processes start beside the old ones, and take their place once they are healthy, a few at a time; what the old ones \
            have begun they finish. If the new ones fail, the old ones go on.

            Example:
              mesh restart orders
              mesh restart inventory ledger
              mesh restart gateway
            """)

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    @Argument(help: ArgumentHelp("Services, or versions of them: orders, catalog/v2.", valueName: "service"))
    var services: [String]

    func run() throws {
        try ChangeSession(location: MeshLocation.find(file: mesh.file), console: outputOptions.console)
            .run(ChangeRequest(.restart, services: services))
    }
}

struct ScaleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scale", abstract: "Run another number of replicas, until mesh.yaml is applied again.",
        discussion: """
            'mesh up' goes back to what mesh.yaml says: to keep the number, write it there.

            Example:
              mesh scale inventory=5
              mesh scale orders=3 catalog/v1=2
            """)

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    @Argument(help: ArgumentHelp("How many of which.", valueName: "service=replicas"))
    var numbers: [String]

    func validate() throws { _ = try wanted() }

    private func wanted() throws -> [(service: String, replicas: Int)] {
        try numbers.map { text in
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, let replicas = Int(parts[1]), (1...1000).contains(replicas) else {
                throw ValidationError("'\(text)' says no number of replicas: write SERVICE=N with N from 1 to 1000, as in inventory=5.")
            }
            return (parts[0], replicas)
        }
    }

    func run() throws {
        let wanted = try wanted()
        let session = ChangeSession(location: try MeshLocation.find(file: mesh.file), console: outputOptions.console)
        for (service, replicas) in wanted { try session.run(ChangeRequest(.scale, services: [service], replicas: replicas)) }
    }
}

struct DeployCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deploy", abstract: "Bring services to what mesh.yaml and their executables are now; leave the others alone.",
        discussion: """
            As 'deploy' in mesh.yaml says: rolling, recreate, blue_green or canary. A new version that crashes, never gets ready, or does \
            worse than the old one is taken back, and the command ends with 1.

            Example:
              swift build -c release --product orders && mesh deploy orders
              mesh deploy catalog --version v2
            """)

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    @Argument(help: ArgumentHelp("Services.", valueName: "service"))
    var services: [String]

    @Option(name: .customLong("version"), help: ArgumentHelp("Only this one of its versions.", valueName: "version"))
    var serviceVersion: String?

    func run() throws {
        try ChangeSession(location: MeshLocation.find(file: mesh.file), console: outputOptions.console)
            .run(ChangeRequest(.deploy, services: services, version: serviceVersion))
    }
}

struct RollbackCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback", abstract: "Go back to what was applied before the last change.",
        discussion: """
            Everything, or only the services named: their section of mesh.yaml, their builds, their number. mesh.yaml itself is not \
            written: the next 'mesh up' applies it as it is. A second rollback goes forward again.

            Example:
              mesh rollback
              mesh rollback orders
            """)

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    @Argument(help: ArgumentHelp("Services; all if none is named.", valueName: "service"))
    var services: [String] = []

    func run() throws {
        try ChangeSession(location: MeshLocation.find(file: mesh.file), console: outputOptions.console)
            .run(ChangeRequest(.rollback, services: services))
    }
}
