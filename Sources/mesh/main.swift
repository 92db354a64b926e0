import ArgumentParser
import Foundation

// Exit codes: 0 done, 1 an error, 2 wrong use, 3 warnings under `check --strict`, 130 ended by a second Ctrl-C.
do {
    if let unknown = UnknownCommand.failure(in: Array(CommandLine.arguments.dropFirst())) { throw unknown }
    var command = try MeshCommand.parseAsRoot()
    try command.run()
} catch let failure as CommandFailure {
    failure.report()
    exit(failure.exitCode)
} catch let told as AlreadyTold {
    exit(told.exitCode)
} catch {
    let code = MeshCommand.exitCode(for: error)
    let message = MeshCommand.fullMessage(for: error)
    guard code != .success else {
        if !message.isEmpty { print(message) }
        exit(0)
    }
    if !message.isEmpty { FileHandle.standardError.write(Data((message + "\n").utf8)) }
    exit(code == .validationFailure ? CommandFailure.wrongUse : code.rawValue)
}
