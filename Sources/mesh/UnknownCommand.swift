import ArgumentParser
import MeshModel

/// A word that stands where a command should, and names none.
enum UnknownCommand {
    /// What to say of the first such word; nil where every word has its command.
    static func failure(in words: [String]) -> CommandFailure? {
        var command: any ParsableCommand.Type = MeshCommand.self
        var path = ["mesh"]
        for word in words {
            let commands = command.configuration.subcommands
            guard !commands.isEmpty, !word.hasPrefix("-"), word != "help" else { return nil }
            guard let next = commands.first(where: { $0._commandName == word }) else {
                let known = commands.map { $0._commandName }
                let path = path.joined(separator: " ")
                guard let meant = Suggestion.nearest(to: word, among: known) else {
                    return CommandFailure(
                        "'\(word)' is no command", detail: ["there are: \(known.joined(separator: ", "))"], hint: "\(path) --help",
                        exitCode: CommandFailure.wrongUse)
                }
                return CommandFailure(
                    "'\(word)' is no command; did you mean '\(meant)'?", hint: "\(path) \(meant)", exitCode: CommandFailure.wrongUse)
            }
            command = next
            path.append(word)
        }
        return nil
    }
}
