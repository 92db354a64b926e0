import MeshAdminAPI

/// What `meshd` is told on its command line.
struct DaemonOptions: Hashable {
    var stateFolder: StateFolder
    /// The mesh.yaml that the next `up` will probably name; only shown until then.
    var file: String?

    static let usage = """
        usage: meshd --state-dir DIR [--file FILE]

        The daemon of one mesh: starts its processes, tells them where the others are, stores their traces.
        `mesh up` starts it; there is seldom a reason to do so by hand.

        example: meshd --state-dir .mesh/shop --file mesh.yaml
        """

    struct Misuse: Error {
        var reason: String
    }

    /// - Throws: `Misuse` with a sentence for the person who typed it.
    init(arguments: some Sequence<String>) throws(Misuse) {
        var folder: String?
        var rest = Array(arguments)[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--state-dir": folder = try Self.value(of: argument, in: &rest)
            case "--file": file = try Self.value(of: argument, in: &rest)
            default: throw Misuse(reason: "unknown argument '\(argument)'")
            }
        }
        guard let folder else { throw Misuse(reason: "--state-dir is missing") }
        stateFolder = StateFolder(path: folder)
    }

    private static func value(of name: String, in rest: inout ArraySlice<String>) throws(Misuse) -> String {
        guard let value = rest.popFirst() else { throw Misuse(reason: "\(name) takes a value") }
        return value
    }
}
