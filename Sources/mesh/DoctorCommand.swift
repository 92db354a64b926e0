import ArgumentParser
import Foundation
import MeshAdminAPI
import MeshTerminal

struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "What on this machine or in this mesh will bite, and the fix.",
        discussion: """
            Looks and changes nothing. Exit codes: 0 nothing bites, warnings aside; 1 something does.

            Example:
              mesh doctor
              mesh doctor --json | jq '.[] | select(.status == "error") | .fix'
            """)

    @Flag(help: "As JSON: [{check, status, message, fix}]; status is ok, note, warning or error.")
    var json = false

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    func run() throws {
        let console = outputOptions.console
        let facts = try DoctorSurvey(file: mesh.file, environment: ProcessInfo.processInfo.environment).facts()
        let findings = Doctor(facts).findings
        if json {
            JSONOutput.write(try AdminJSON.encode(findings), to: console)
        } else {
            console.write(DoctorText.lines(findings, width: console.output.width))
            console.tell(DoctorText.summary(findings))
        }
        if findings.contains(where: { $0.status == .error }) { throw AlreadyTold() }
    }
}
