import Foundation
import MeshSidecar

/// The edge of a mesh: takes requests from outside and leads them along the routes of a mesh.yaml.
@main
struct EdgeGateway {
    static let usage = """
        usage: edge-gateway --mesh FILE [--threads N]

        Runs the gateway of a mesh.yaml alone, without a daemon: a reverse proxy for its `url:` services.
        (`mesh up` starts it without arguments, and it gets its routes from the daemon.)

          --mesh FILE    the mesh.yaml; read again on SIGHUP
          --threads N    event loops (default: `gateway.threads`, else one per core)

        example: edge-gateway --mesh mesh.yaml --threads 2
        """

    /// Not async, so that valgrind can run it: it does not survive the main thread's change of stack to `dispatchMain`.
    static func main() {
        // Started by a daemon: routes, services and the listening socket come from there.
        if CommandLine.arguments.count == 1, ProcessInfo.processInfo.environment["MESH_CONTROL"] != nil {
            Task.detached {
                await Sidecar.runGateway()
                exit(0)
            }
            dispatchMain()
        }
        // A client or a reader of the log that goes away is no reason to end.
        signal(SIGPIPE, SIG_IGN)
        do throws(GatewayArguments.Invalid) {
            let arguments = try GatewayArguments(CommandLine.arguments.dropFirst())
            guard !arguments.wantsHelp else {
                print(usage)
                return
            }
            exit(StandaloneGateway(arguments).run())
        } catch {
            Message.write("error: \(error.reason)\n\(usage)")
            exit(2)
        }
    }
}

/// What the command line says.
struct GatewayArguments {
    /// Wrong use of the command; the process ends with status 2.
    struct Invalid: Error {
        var reason: String
    }

    var mesh = ""
    var threads: Int?
    var wantsHelp = false

    init(_ arguments: some Sequence<String>) throws(Invalid) {
        var rest = Array(arguments)[...]
        while let argument = rest.popFirst() {
            // `--name value` and `--name=value` mean the same.
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            switch parts[0] {
            case "--help", "-h": wantsHelp = true
            case "--mesh", "--threads":
                guard let value = parts.count == 2 ? parts[1] : rest.popFirst(), !value.isEmpty else {
                    throw Invalid(reason: "\(parts[0]) needs a value")
                }
                if parts[0] == "--mesh" {
                    mesh = value
                } else {
                    guard let number = Int(value), (1...256).contains(number) else {
                        throw Invalid(reason: "--threads is a number from 1 to 256, not '\(value)'")
                    }
                    threads = number
                }
            default: throw Invalid(reason: "unknown argument '\(argument)'")
            }
        }
        guard wantsHelp || !mesh.isEmpty else { throw Invalid(reason: "--mesh FILE is missing") }
    }
}

/// Lines for people, on standard error.
enum Message {
    static func write(_ text: String, terminator: String = "\n") {
        FileHandle.standardError.write(Data((text + terminator).utf8))
    }
}
