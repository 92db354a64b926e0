import Foundation
import MeshAdminAPI
import MeshTerminal

/// Why a command ends without having done its work, with the next thing to try.
///
/// Invariant: `hint` is something that a person can do, most often a command.
struct CommandFailure: Error {
    static let failed: Int32 = 1
    static let wrongUse: Int32 = 2
    static let warnings: Int32 = 3
    static let interrupted: Int32 = 130

    var message: String
    var detail: [String] = []
    var hint: String
    var exitCode: Int32 = Self.failed

    init(_ message: String, detail: [String] = [], hint: String, exitCode: Int32 = Self.failed) {
        self.message = message
        self.detail = detail
        self.hint = hint
        self.exitCode = exitCode
    }

    init(_ problem: Problem) {
        self.init(problem.description, detail: problem.lines ?? [], hint: problem.hint ?? "mesh ps")
    }

    func report() {
        // Errors come from below the options' reach.
        let console = Console(wantedWidth: nil, wantsColour: !CommandLine.arguments.contains("--no-color"))
        console.tell(
            [StyledText("error: ", .red) + StyledText(DisplayWidth.printable(message))]
                + detail.map { StyledText("  │ " + DisplayWidth.printable($0), .dim) }
                + [StyledText("  next: " + DisplayWidth.printable(hint), .cyan)])
    }
}

/// Ends a command whose failure was already told in full.
struct AlreadyTold: Error {
    var exitCode: Int32 = CommandFailure.failed
}
