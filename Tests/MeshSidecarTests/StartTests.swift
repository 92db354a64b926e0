import Foundation
import MeshControlProtocol
import MeshExchange
import MeshModel
import Testing

@testable import MeshSidecar

/// How a sidecar learns who it is, and what is said when it can't.
@Suite struct StartTests {
    static let complete = [
        "MESH_SERVICE": "inventory", "MESH_INSTANCE": "01234567-89ab-4def-8123-456789abcdef", "MESH_CONTROL": "/run/mesh/c",
        "LISTEN_FDS": "2",
    ]

    @Test func `the environment of the daemon is read`() throws {
        var variables = Self.complete
        let least = try SidecarEnvironment(variables)
        #expect(least.service == "inventory" && least.replica == "inventory" && least.descriptors == 3..<5 && least.version == nil)
        #expect(least.threads == nil)
        variables.merge([
            "MESH_TIER": "enterprise", "MESH_REPLICA": "inventory-2", "MESH_VERSION": "v2", "MESH_STATE_DIR": "/s", "MESH_THREADS": "3",
        ]) { $1 }
        let full = try SidecarEnvironment(variables)
        #expect(full.tier == "enterprise" && full.replica == "inventory-2" && full.version == "v2" && full.stateFolder == "/s")
        #expect(full.threads == 3)
        #expect(full.hello.replica == "inventory-2" && full.hello.revision == nil && full.hello.processID == getpid())
    }

    @Test func `what is missing is named, and what to do`() {
        let error = #expect(throws: SidecarStartError.self) { _ = try SidecarEnvironment(["MESH_SERVICE": "x", "LISTEN_FDS": ""]) }
        #expect(error == .notStartedByMesh(missing: ["MESH_INSTANCE", "MESH_CONTROL", "LISTEN_FDS"]))
        #expect(error?.description.contains("mesh up") == true)
    }

    @Test(arguments: [("LISTEN_FDS", "0"), ("LISTEN_FDS", "many"), ("MESH_INSTANCE", "7"), ("MESH_THREADS", "0")])
    func `a senseless variable is named`(name: String, value: String) {
        var variables = Self.complete
        variables[name] = value
        let error = #expect(throws: SidecarStartError.self) { _ = try SidecarEnvironment(variables) }
        guard case .invalidVariable(name, value, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func `addresses to listen on are read in their usual forms`() throws {
        #expect(try SidecarConfiguration.address("127.0.0.1:80") == .tcp(host: "127.0.0.1", port: 80))
        #expect(try SidecarConfiguration.address("[::1]:0") == .tcp(host: "::1", port: 0))
        #expect(try SidecarConfiguration.address(":8080") == .tcp(host: "127.0.0.1", port: 8080))
        #expect(try SidecarConfiguration.address("unix:/tmp/x") == .unix(path: "/tmp/x"))
        for text in ["8080", "host:", "host:70000", ""] {
            #expect(throws: SidecarStartError.invalidListen(text)) { _ = try SidecarConfiguration.address(text) }
        }
    }

    @Test func `URLs of a standalone service are checked`() throws {
        for url in ["https://x", "x", "http://"] {
            #expect(throws: SidecarStartError.invalidURL(service: "x", url: url)) {
                _ = try SidecarConfiguration.standalone("y", calling: ["x": url])
            }
        }
        let configuration = try SidecarConfiguration.standalone("y", calling: ["x": "http://[::1]:81/base/"])
        guard case .fixed(let snapshot, _, _) = configuration.source else { return }
        let endpoint = snapshot.destinations[0].endpoints[0]
        #expect(endpoint.addresses == [.tcp(host: "::1", port: 81)])
        #expect(endpoint.authority == "[::1]:81" && endpoint.basePath == "/base")
        #expect(snapshot.destinations[0].isExternal)
    }

    @Test func `a mesh.yaml is enough`() async throws {
        let folder = try RunningService.Folder()
        let path = folder.path
        let echo = try Sidecar(.standalone("echo"), threads: 1)
        echo.serve { request in .text("\(request.target) \(request.caller)") }
        try await RunningService.run(echo) {
            let address = try await echo.addresses()[0]
            let yaml = """
                mesh: shop
                tiers: [domain, enterprise]
                services:
                  orders: { tier: domain, url: "http://127.0.0.1:1", calls: { echo: { timeout: 1s } } }
                  echo: { tier: enterprise, url: "http://\(address)" }
                """
            try yaml.write(toFile: "\(path)/mesh.yaml", atomically: true, encoding: .utf8)
            let orders = try Sidecar(.file("\(path)/mesh.yaml", service: "orders"), threads: 1)
            let mesh = orders.mesh
            orders.serve { _ in MeshResponse(try await mesh.call("echo", .get, "/x")) }
            try await RunningService.run(orders) {
                let answer = try await mesh.call("echo", .get, "/x")
                // Nothing of the mesh is told to a service that is not ours.
                #expect(String(decoding: try await answer.collect(), as: UTF8.self) == "/x unauthenticated")
            }
        }
        #expect(throws: SidecarStartError.serviceNotInFile("crm", path: "\(path)/mesh.yaml")) {
            _ = try SidecarConfiguration.file("\(path)/mesh.yaml", service: "crm")
        }
        try "mesh: [".write(toFile: "\(path)/mesh.yaml", atomically: true, encoding: .utf8)
        #expect(throws: SidecarStartError.self) { _ = try SidecarConfiguration.file("\(path)/mesh.yaml", service: "orders") }
    }

    @Test func `the data folder lies below the state folder and is private`() throws {
        let folder = try RunningService.Folder()
        let sidecar = try Sidecar(.standalone("ledger", stateFolder: folder.path), threads: 1)
        let data = try sidecar.dataFolder
        #expect(data == "\(folder.path)/data/ledger")
        var status = stat()
        #expect(stat(data, &status) == 0 && status.st_mode & 0o777 == 0o700)
        #expect(try sidecar.dataFolder == data)
    }

    @Test func `a sidecar runs once`() async throws {
        let sidecar = try Sidecar(.standalone("once"), threads: 1)
        sidecar.serve { _ in .text("") }
        try await RunningService.run(sidecar) { _ = try await sidecar.addresses() }
        await #expect(throws: SidecarStartError.alreadyRan) { try await sidecar.run() }
    }

    @Test func `a port that is taken is named`() async throws {
        let first = try Sidecar(.standalone("first"), threads: 1)
        first.serve { _ in .text("") }
        try await RunningService.run(first) {
            let address = try await first.addresses()[0]
            let second = try Sidecar(.standalone("second", listen: address), threads: 1)
            second.serve { _ in .text("") }
            let error = await #expect(throws: SidecarStartError.self) { try await second.run() }
            #expect(error?.description.contains(address) == true)
        }
    }
}
