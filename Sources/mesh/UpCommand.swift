import ArgumentParser
import Foundation
import MeshAdminAPI
import MeshConfiguration
import MeshTerminal

struct UpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up", abstract: "Start the mesh, or bring a running one to what mesh.yaml says.",
        discussion: """
            In the foreground it stays, tells what happens, and stops everything at Ctrl-C; a second Ctrl-C kills. \
            With -d it returns once everything is ready.

            Example:
              mesh up -d
              PORT=9000 mesh up -f shop/mesh.yaml
              mesh up --profile dev --watch
            """)

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    @Flag(name: [.short, .long], help: "Return once everything is ready, and leave it running.")
    var detach = false

    @Flag(name: [.short, .long], help: "Replace and stop processes without asking.")
    var yes = false

    @Flag(help: "Replace a service, rolling, when its executable changes (nothing is built).")
    var watch = false

    @OptionGroup var profile: ProfileOption

    func run() throws {
        let signals = SignalWatch()
        let console = outputOptions.console
        let environment = ProcessInfo.processInfo.environment
        let (document, location, findings) = try CheckedMesh.read(mesh.file, profile.profile, for: "up", console, environment)
        if !yes, console.isInteractive { try confirm(PlanCommand.changes(document, location, profile.profile, environment), console) }
        let session = UpSession(
            location: location, console: console, signals: signals, isDetached: detach, profile: profile.profile,
            watches: watch ? true : nil)
        try session.run(
            check: .check(.init(file: MeshLocation.file(named: mesh.file), findings: findings)), environment: environment)
    }

    /// A person who is there is asked before processes that serve are replaced or stopped.
    private func confirm(_ changes: [UpEvent.ServiceChange], _ console: Console) throws {
        let serious = changes.filter { [.replace, .restart, .stop].contains($0.action) }
        guard !serious.isEmpty else { return }
        console.tell(PlanTable.lines(changes, width: console.progressWidth))
        guard console.ask("go on? [y/N] ") else {
            throw CommandFailure("nothing was changed", hint: "mesh plan shows this again; mesh up --yes does not ask")
        }
    }
}

/// A mesh.yaml without errors, and where its mesh lives.
enum CheckedMesh {
    /// Tells all findings.
    ///
    /// - Returns: the number of findings last.
    static func read(
        _ file: String?, _ profile: String?, for command: String, _ console: Console, _ environment: [String: String]
    ) throws -> (document: MeshDocument, location: MeshLocation, findings: Int) {
        let path = MeshLocation.file(named: file)
        let (document, findings) = MeshDocument.load(path: path, profile: profile)
        console.tell(findings.flatMap(FindingText.lines))
        guard let document else {
            console.tell(FindingText.summary(findings, file: path))
            throw CommandFailure(
                "\(path) has errors; nothing was changed",
                hint: "correct them, then: mesh \(command)\(file.map { " -f \(MeshLocation.quoted($0))" } ?? "")")
        }
        let absolute = MeshLocation.absolutePath(path)
        let location = MeshLocation(
            stateFolder: StateFolder(mesh: document.name, file: absolute, environment: environment), file: absolute, name: document.name,
            selector: file.map { _ in (try? MeshLocation.find(file: file).selector) ?? "" } ?? "")
        return (document, location, findings.count)
    }
}
