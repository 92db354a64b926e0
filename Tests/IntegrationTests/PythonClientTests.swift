import Foundation
import Testing

/// Packages of Python that people use, through the gateway.
extension RealProcesses {
    @Suite struct PythonClientTests {
        @Test(arguments: [false, true]) func requestsFindsNothingWrong(isSecure: Bool) throws {
            let clients = try ClientMesh(isSecure: isSecure)
            try clients.python("requests_client.py", [clients.url])
        }

        @Test(arguments: [false, true]) func h2FindsNothingWrong(isSecure: Bool) throws {
            let clients = try ClientMesh(isSecure: isSecure)
            try clients.python("h2_client.py", clients.authority.split(separator: ":").map(String.init))
        }

        @Test(arguments: [false, true]) func websocketsFindsNothingWrong(isSecure: Bool) throws {
            let clients = try ClientMesh(isSecure: isSecure, servers: ["sockets": "echo_socket.py"])
            try clients.python("websockets_client.py", [clients.url.replacing("http", with: "ws") + "/sockets/chat"])
        }

        /// grpcio on both sides: all forms of calls, an error in trailers alone, deadline and cancellation.
        @Test(arguments: [false, true]) func grpcioFindsNothingWrong(isSecure: Bool) throws {
            let clients = try ClientMesh(
                isSecure: isSecure, servers: ["greeter": "greeter.py"], routes: ["/shop.Greeter/**": "greeter"], protocol: "http2")
            let run = try clients.python("grpc_client.py", [clients.authority])
            #expect(
                run.output.split(separator: "\n") == [
                    "unary", "stream from the server", "stream from the client", "both ways", "error in trailers only", "deadline",
                    "cancellation",
                ])
        }
    }
}
