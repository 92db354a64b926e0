/// A sidecar can't start; each case says what to do.
public enum SidecarStartError: Error, Hashable, Sendable, CustomStringConvertible {
    case notStartedByMesh(missing: [String])
    case invalidVariable(name: String, value: String, expected: String)
    case invalidURL(service: ServiceName, url: String)
    case invalidListen(String)
    /// ``Sidecar/serve(_:)`` or another way to answer was never called.
    case nothingToServe(ServiceName)
    /// What passes everything on needs exactly one service in its `calls:`.
    case notOneCallee(ServiceName, calls: [ServiceName])
    case configurationUnusable(String)
    case fileHasErrors(path: String, findings: String)
    case serviceNotInFile(ServiceName, path: String)
    case cannotListen(String)
    case alreadyRan

    public var description: String {
        switch self {
        case .notStartedByMesh(let missing):
            """
            this program is a service of a mesh and was started without one (\(missing.joined(separator: ", ")) not set): \
            start it with `mesh up`, or alone with Sidecar(.standalone(…)) or Sidecar(.file(…))
            """
        case .invalidVariable(let name, let value, let expected): "\(name) is '\(value)', which is not \(expected): start with `mesh up`"
        case .invalidURL(let service, let url):
            "the URL of \(service) is '\(url)': write http://host:port, or unix:/path of a socket"
        case .invalidListen(let text): "'\(text)' is nothing to listen on: write host:port, or unix:/path of a socket"
        case .nothingToServe(let service): "\(service) answers no request: call sidecar.serve { request in … } before it runs"
        case .notOneCallee(let service, let calls):
            """
            \(service) passes everything on and needs exactly one service in its `calls:`, which has \
            \(calls.isEmpty ? "none" : calls.map(\.description).joined(separator: ", ")): change it in mesh.yaml, then run `mesh up`
            """
        case .configurationUnusable(let reason): "the configuration can't be used: \(reason); `mesh check` tells more"
        case .fileHasErrors(let path, let findings): "\(path) has errors\n\(findings)"
        case .serviceNotInFile(let service, let path): "\(path) has no service '\(service)': add it under services:, or start another one"
        case .cannotListen(let reason): reason
        case .alreadyRan: "a Sidecar runs once: make a new one"
        }
    }
}
