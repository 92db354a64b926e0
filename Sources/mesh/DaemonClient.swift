import Curl
import Foundation
import MeshAdminAPI

/// The daemon of one mesh, as this command talks to it.
struct DaemonClient: Sendable {
    let socket: String
    private let client = CurlClient(mostIdle: 2)

    init(_ location: MeshLocation) { socket = RuntimeFolder.locate(location.stateFolder).controlSocket }

    /// Whether the socket's file is there, whoever answers on it.
    var socketExists: Bool { access(socket, F_OK) == 0 }

    /// nil where nobody answers: the daemon is not there.
    func status(timeout: Duration = .seconds(5)) throws -> DaemonStatus? {
        do {
            let response = try send(request("GET", AdminAPI.Path.status, timeout: timeout))
            return try AdminJSON.decode(DaemonStatus.self, from: response.body)
        } catch is DaemonAbsent {
            return nil
        } catch is DaemonLost {
            // On its way out.
            return nil
        }
    }

    func instances(timeout: Duration = .seconds(5)) throws -> [InstanceStatus] {
        try AdminJSON.decode([InstanceStatus].self, from: get(AdminAPI.Path.instances, timeout: timeout))
    }

    /// The body of a 2xx answer.
    func get(_ path: String, query: [(String, String)] = [], timeout: Duration = .seconds(10)) throws -> [UInt8] {
        try send(request("GET", path, query: query, timeout: timeout)).body
    }

    /// The body of a 2xx answer to a request that changes something.
    func send(
        _ method: String, _ path: String, query: [(String, String)] = [], body: [UInt8]? = nil, timeout: Duration = .seconds(10)
    ) throws -> [UInt8] {
        var request = request(method, path, query: query, timeout: timeout)
        if let body {
            request.body = .bytes(body)
            request.headers.append(CurlHeader("Content-Type", AdminAPI.jsonType))
        }
        return try send(request).body
    }

    /// Reads a stream of JSON lines; `each` says whether to go on.
    func lines<Line: Decodable>(
        _ type: Line.Type, _ method: String, _ path: String, query: [(String, String)] = [], body: [UInt8]? = nil,
        cancellation: CurlCancellation? = nil, each: @escaping (Line, [UInt8]) -> CurlFlow
    ) throws {
        var unreadable: (any Error)?
        var request = request(method, path, query: query, timeout: nil)
        if let body {
            request.body = .bytes(body)
            request.headers.append(CurlHeader("Content-Type", AdminAPI.jsonType))
        }
        let response: CurlResponse
        do {
            response = try client.lines(request, cancellation: cancellation) { line in
                guard !line.isEmpty else { return .goOn }
                do {
                    return each(try AdminJSON.decode(Line.self, from: line), line)
                } catch {
                    unreadable = error
                    return .stop
                }
            }
        } catch {
            throw Self.translated(error, socket: socket)
        }
        try Self.checkSuccess(response)
        if unreadable != nil { throw Self.unreadableAnswer }
    }

    /// Asks the daemon to end everything without draining. It may well be gone before it can answer.
    func killNow(timeout: Duration) {
        _ = try? client.send(request("POST", AdminAPI.Path.down, query: [("now", "true")], timeout: timeout))
    }

    private func request(_ method: String, _ path: String, query: [(String, String)] = [], timeout: Duration?) -> CurlRequest {
        var url = "http://mesh" + path
        if !query.isEmpty {
            url += "?" + query.map { "\($0.0)=\(Self.escaped($0.1))" }.joined(separator: "&")
        }
        return CurlRequest(
            method, url, unixSocket: socket,
            headers: [CurlHeader("Accept", AdminAPI.jsonType), CurlHeader("User-Agent", "mesh/\(AdminAPI.releaseVersion)")],
            connectTimeout: .seconds(2), timeout: timeout)
    }

    private func send(_ request: CurlRequest) throws -> CurlResponse {
        let response: CurlResponse
        do {
            response = try client.send(request)
        } catch {
            throw Self.translated(error, socket: socket)
        }
        try Self.checkSuccess(response)
        return response
    }

    private static func checkSuccess(_ response: CurlResponse) throws {
        guard !response.isSuccess else { return }
        if let problem = try? AdminJSON.decode(Problem.self, from: response.body) { throw CommandFailure(problem) }
        throw CommandFailure("the daemon answered \(response.status)", detail: [response.text], hint: "mesh ps")
    }

    private static func translated(_ error: CurlError, socket: String) -> any Error {
        switch error.kind {
        case .cannotConnect: DaemonAbsent()
        case .timedOut:
            CommandFailure(
                "the daemon does not answer (\(socket))",
                hint: "read its log (daemon.log in the state folder); if it hangs, end it and run: mesh up")
        case .closed, .bodyIncomplete: DaemonLost()
        case .cancelled: error
        default: CommandFailure("the daemon cannot be asked: \(error)", hint: "mesh ps")
        }
    }

    private static var unreadableAnswer: CommandFailure {
        CommandFailure(
            "the daemon's answer cannot be read: it may be of another version than this mesh \(AdminAPI.releaseVersion)",
            hint: "mesh down, then mesh up with one version of both")
    }

    static func escaped(_ text: String) -> String {
        text.addingPercentEncoding(
            withAllowedCharacters: CharacterSet(charactersIn: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"))
            ?? ""
    }
}

/// Nobody listens on the control socket.
struct DaemonAbsent: Error {}

/// The connection to the daemon broke while it was being talked to.
struct DaemonLost: Error {}

extension MeshLocation {
    /// Runs `body` with the daemon of this mesh, and says what to do when there is none.
    func withDaemon<Result>(_ body: (DaemonClient) throws -> Result) throws -> Result {
        do {
            return try body(DaemonClient(self))
        } catch is DaemonAbsent {
            throw CommandFailure(
                "mesh \(name) is not running", hint: "mesh up -d\(selector)   (it also takes over what a lost daemon left)")
        } catch is DaemonLost {
            throw CommandFailure("the daemon of mesh \(name) ended meanwhile; its services go on", hint: "mesh up -d\(selector)")
        }
    }
}
