import Curl
import Foundation
import Testing

/// Everything that can be wrong before a mesh is ready: a clear message with the next step, the right exit code, nothing left.
extension RealProcesses {
    @Suite struct FailedStartTests {
        private func expectFailure(
            _ mesh: TestMesh, saying words: String..., status: Int32 = 1, sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            let run = try mesh.mesh("up", "-d", within: 60)
            let said = run.output + run.errors
            #expect(run.status == status, "\(said)", sourceLocation: sourceLocation)
            for word in words { #expect(said.contains(word), "'\(word)' is missing in: \(said)", sourceLocation: sourceLocation) }
            #expect(Wait.until(5) { mesh.processes.isEmpty }, "something is left running", sourceLocation: sourceLocation)
        }

        private func yaml(listen: String = "127.0.0.1:0", echo: String = "run: \"${BIN}/echo\"") -> String {
            """
            mesh: broken
            gateway: { run: "${BIN}/edge-gateway", listen: "\(listen)", routes: { "/**": echo } }
            services:
              echo: { tier: enterprise, \(echo) }
            """
        }

        @Test func aPortThatIsInUse() throws {
            let taken = try TakenPort()
            try expectFailure(try TestMesh(yaml(listen: "127.0.0.1:\(taken.port)")), saying: "\(taken.port)", "in use", "PORT")
        }

        @Test(arguments: ["127.0.0.1:99999", "port", "-1"])
        func aWrongPort(listen: String) throws {
            try expectFailure(try TestMesh(yaml(listen: listen)), saying: "listen", "mesh.yaml:2")
        }

        @Test func aMissingExecutable() throws {
            try expectFailure(try TestMesh(yaml(echo: "run: ./no-such-program")), saying: "no-such-program", "mesh.yaml:4")
        }

        @Test func aServiceThatNeverGetsReady() throws {
            try expectFailure(
                try TestMesh(yaml(echo: "run: sleep 600, ready: { get: /healthz, within: 1s }")), saying: "echo", "ready", "mesh logs")
        }

        @Test func aServiceThatEndsAtOnce() throws {
            try expectFailure(
                try TestMesh(yaml(echo: "run: [sh, -c, \"echo no database here >&2; exit 3\"]")), saying: "echo", "no database here", "exit"
            )
        }

        @Test func aFileThatIsNotThere() throws {
            let mesh = try TestMesh(yaml())
            try FileManager.default.removeItem(at: mesh.file)
            try expectFailure(mesh, saying: "mesh.yaml")
        }

        @Test func wrongUseOfTheCommand() throws {
            let mesh = try TestMesh(yaml())
            #expect(try mesh.mesh("upp").status == 2)
            #expect(try mesh.mesh("up", "--nonsense").status == 2)
        }
    }
}

/// A port of the loopback interface that somebody listens on.
final class TakenPort {
    let port: Int
    private let descriptor: Int32

    init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 1) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard isListening else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        descriptor = listener
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit { close(descriptor) }
}
