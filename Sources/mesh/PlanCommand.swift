import ArgumentParser
import Foundation
import MeshAdminAPI
import MeshConfiguration
import MeshTerminal

struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Show what 'mesh up' would change, and change nothing.",
        discussion: """
            For each service that would change: start, scale, stop, live (other rules, the processes go on), replace (new processes \
            beside the old ones), or restart (all old ones end first).

            Example:
              mesh plan
              mesh plan --json | jq -r '.[] | select(.action == "replace").service'

            Exit codes: 0 nothing would change, 2 something would, 1 an error.
            """)

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    @OptionGroup var profile: ProfileOption

    @Flag(help: "One object per change (docs/cli.md).")
    var json = false

    func run() throws {
        let console = outputOptions.console
        let environment = ProcessInfo.processInfo.environment
        let (document, location, _) = try CheckedMesh.read(mesh.file, profile.profile, for: "plan", console, environment)
        let changes = try Self.changes(document, location, profile.profile, environment)
        if json {
            JSONOutput.write(try AdminJSON.encode(changes), to: console)
        } else {
            console.write(PlanTable.lines(changes))
        }
        if !changes.isEmpty { throw AlreadyTold(exitCode: 2) }
    }

    /// What `up` would do now; all that there is has to be started where no daemon runs.
    static func changes(
        _ document: MeshDocument, _ location: MeshLocation, _ profile: String?, _ environment: [String: String]
    ) throws -> [UpEvent.ServiceChange] {
        let client = DaemonClient(location)
        do {
            let request = try AdminJSON.encode(UpRequest(file: location.file ?? "", environment: environment, profile: profile))
            return try AdminJSON.decode(
                DeploymentPlanAnswer.self, from: client.send("POST", AdminAPI.Path.plan, body: request, timeout: .seconds(30))
            ).changes
        } catch is DaemonAbsent {
            let groups = document.services.flatMap { service in
                service.versions.map { (label: $0.name.map { "\(service.name)/\($0)" } ?? service.name, replicas: $0.replicas) }
            }
            let gateway = document.gateway?.command == nil ? [] : [(label: MeshDocument.gatewayName, replicas: 1)]
            return (groups + gateway).map { group in
                .init(service: group.label, action: .start, reason: "\(group.replicas) \(group.replicas == 1 ? "replica" : "replicas")")
            }
        }
    }
}
