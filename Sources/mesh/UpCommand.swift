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
            """)

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    @Flag(name: [.short, .long], help: "Return once everything is ready, and leave it running.")
    var detach = false

    func run() throws {
        let signals = SignalWatch()
        let console = outputOptions.console
        let environment = ProcessInfo.processInfo.environment
        let path = MeshLocation.file(named: mesh.file)
        let (document, findings) = MeshDocument.load(path: path)
        console.tell(findings.flatMap(FindingText.lines))
        guard let document else {
            console.tell(FindingText.summary(findings, file: path))
            throw CommandFailure(
                "\(path) has errors; nothing was changed",
                hint: "correct them, then: mesh up\(mesh.file.map { " -f \(MeshLocation.quoted($0))" } ?? "")")
        }
        let file = MeshLocation.absolutePath(path)
        let location = MeshLocation(
            stateFolder: StateFolder(mesh: document.name, file: file, environment: environment), file: file, name: document.name,
            selector: mesh.file.map { _ in (try? MeshLocation.find(file: mesh.file).selector) ?? "" } ?? "")
        let session = UpSession(location: location, console: console, signals: signals, isDetached: detach)
        try session.run(check: .check(.init(file: path, findings: findings.count)), environment: environment)
    }
}
