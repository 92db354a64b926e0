import ArgumentParser
import MeshConfiguration
import MeshTerminal

struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Explain the code of a finding; without one, list them all.",
        discussion: """
            Example:
              mesh explain M012
            """)

    @Argument(help: "The code, as 'mesh check' shows it.", completion: .list(FindingCode.allCases.map(\.rawValue)))
    var code: String?

    @OptionGroup var outputOptions: OutputOptions

    func run() throws {
        let console = outputOptions.console
        guard let code else {
            var table = Table([.init("CODE"), .init("SEVERITY", dropOrder: 1), .init("MEANING", minimum: 10)])
            for code in FindingCode.allCases {
                table.add([
                    StyledText(code.rawValue, .cyan), StyledText(code.severity.rawValue), StyledText(Explanation.title(of: code)),
                ])
            }
            console.write(table.lines(width: console.output.width))
            return
        }
        guard let text = Explanation.text(for: code) else {
            throw CommandFailure(
                "there is no finding with the code \(code)", hint: "mesh explain   (lists them all)", exitCode: CommandFailure.wrongUse)
        }
        console.write(text.split(separator: "\n", omittingEmptySubsequences: false).map { StyledText(String($0)) })
    }
}
