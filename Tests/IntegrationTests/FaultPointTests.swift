import Curl
import Foundation
import MeshSupervision
import Testing

/// The daemon is killed at every step of a rollout: the next `mesh up` finishes it, or undoes it, and nothing is doubled or left behind.
extension RealProcesses {
    @Suite struct FaultPointTests {
        private static let isThorough = ProcessInfo.processInfo.environment["MESH_FAULT_POINTS"] == "all"

        /// A canary comes by every step that there is but one.
        private func yaml(_ version: Int, by point: FaultPoint) -> String {
            """
            mesh: interrupted
            defaults: { timeout: 5s }
            gateway: { run: "${BIN}/edge-gateway", listen: "127.0.0.1:0", routes: { "/**": crm } }
            services:
              crm:
                tier: domain
                run: ["${BIN}/fake-version", good, v\(version)]
                replicas: 2
                ready: { get: /healthz, every: 50ms, within: 5s }
                deploy: { \(point == .holdPublished ? "strategy: blue_green" : "canary: { steps: [50%], pause: 100ms }"), min_healthy_time: 50ms, drain: 2s }
            """
        }

        @Test(arguments: FaultPoint.allCases) func theNextUpFinishesOrUndoesARolloutThatWasCut(point: FaultPoint) throws {
            let mesh = try TestMesh(yaml(1, by: point))
            try mesh.up()
            let gateway = try mesh.pids(of: "gateway")
            let load = SteadyLoad([CurlRequest("GET", try mesh.gateway + "/")], rate: 30)

            // To its end, and back; `make check` does both at every point.
            let isFinished = FaultPoint.allCases.firstIndex(of: point)!.isMultiple(of: 2)
            if isFinished || Self.isThorough {
                try cut(mesh, at: point, to: 2)
                try mesh.up()
                expectOnly(2, in: mesh)
            }
            if !isFinished || Self.isThorough {
                let before = Self.isThorough ? 2 : 1
                try cut(mesh, at: point, to: 3)
                try mesh.write(yaml(before, by: point))
                try mesh.up()
                expectOnly(before, in: mesh)
            }

            #expect(try mesh.pids(of: "gateway") == gateway)
            #expect(try mesh.mesh("plan").status == 0)
            let result = load.finish()
            #expect(result.failures.isEmpty, "\(result.failures.count): \(result.failures.prefix(3))")
            #expect(try mesh.mesh("down").status == 0)
            #expect(mesh.processes.isEmpty)
        }

        /// Begins a rollout with a daemon that dies at `point`.
        private func cut(_ mesh: TestMesh, at point: FaultPoint, to version: Int) throws {
            kill(try #require(mesh.daemonProcess), SIGKILL)
            #expect(Wait.until(5) { mesh.daemonProcess == nil })
            try mesh.write(yaml(version, by: point))
            mesh.environment["MESH_FAULT_POINT"] = point.rawValue
            let up = try mesh.mesh("up", "-d")
            mesh.environment["MESH_FAULT_POINT"] = nil
            #expect(up.status == 1 && up.errors.contains("the daemon was lost"), "\(up.status) \(up.errors)")
            try #require(Wait.until(5) { mesh.daemonProcess == nil }, "a rollout does not come by \(point)")
        }

        private func expectOnly(_ version: Int, in mesh: TestMesh) {
            // Three instances and their shims, and the daemon; what was replaced may drain for a moment.
            let isAlone = Wait.until(8) { mesh.processes.count == 7 && versions(in: mesh) == ["v\(version)", "v\(version)"] }
            #expect(isAlone, "\(mesh.processes.count) processes, \(versions(in: mesh))")
            #expect((try? mesh.instances.count { $0["ready"] as? Bool == true }) == 3)
            #expect((try? mesh.instances.count) == 3)
        }

        /// What the processes of the service were told on their command lines.
        private func versions(in mesh: TestMesh) -> [String] {
            mesh.processes.compactMap { process in
                let line = FileManager.default.contents(atPath: "/proc/\(process)/cmdline") ?? Data()
                let arguments = line.split(separator: UInt8(0)).map { String(decoding: $0, as: UTF8.self) }
                return arguments.first?.hasSuffix("fake-version") == true ? arguments.last : nil
            }
        }
    }
}
