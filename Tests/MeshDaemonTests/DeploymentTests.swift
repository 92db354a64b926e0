import Foundation
import MeshConfiguration
import MeshLimits
import MeshSupervision
import Testing

@testable import meshd

/// What is to run for a mesh.yaml.
@Suite struct DeploymentTests {
    private func deployment(_ services: String) throws -> Deployment {
        let file = FileManager.default.temporaryDirectory.appending(path: "mesh-\(UUID().uuidString).yaml")
        defer { try? FileManager.default.removeItem(at: file) }
        try "mesh: shop\ntiers: [edge, domain, enterprise]\nservices:\n\(services)".write(to: file, atomically: true, encoding: .utf8)
        let (document, findings) = MeshDocument.load(path: file.path)
        return Deployment(
            try #require(document, "\(findings)"),
            in: .init(
                stateFolder: "/state", runtimeFolder: "/run", instanceSocket: "/run/instances.sock",
                environment: ["A": "shell", "B": "shell"],
                privateVariables: { files, except in
                    PrivateVariables(files: files.files.map(\.path), except: except, digests: ["N": "\(files.secrets.count)"])
                }))
    }

    @Test func whatIsCalledStartsFirstUnlessItsCallerDoesWithout() throws {
        let calls = "  a: { tier: domain, run: /bin/sh, calls: [b]%@ }\n  b: { tier: enterprise, run: /bin/sh }\n"
        func waves(_ more: String) throws -> [[String]] {
            try deployment(calls.replacing("%@", with: more)).waves.map { $0.map(\.label) }
        }
        #expect(try waves("") == [["b"], ["a"]])
        #expect(try waves(", wait_for_calls: true") == [["b"], ["a"]])
        #expect(try waves(", wait_for_calls: false") == [["a", "b"]])
    }

    @Test func howManyAreEnoughIsOfEachVersion() throws {
        let services = """
              a: { tier: domain, run: /bin/sh, replicas: 3, min_available: 2 }
              b: { tier: domain, versions: { v1: { run: /bin/sh, replicas: 4 }, v2: { run: /bin/true } }, min_available: 50% }
              c: { tier: domain, run: /bin/sh, replicas: 3 }
            """
        let groups = try deployment(services).groups
        #expect(Dictionary(uniqueKeysWithValues: groups.map { ($0.label, $0.enough) }) == ["a": 2, "b/v1": 2, "b/v2": 1, "c": 3])
    }

    @Test func limitsAndPrivateVariablesReachEveryReplica() throws {
        let deployment = try deployment(
            "  a: { tier: domain, run: /bin/sh, replicas: 2, env: { B: own }, limits: { memory: 1MB, cpu: 0.5, files: 64 } }\n")
        let spec = try #require(deployment.group(labelled: "a")).spec("a-2")
        #expect(spec.limits == ProcessLimits(memoryBytes: 1_000_000, cores: 0.5, openFiles: 64))
        #expect(spec.limits?.wholeCores == 1)
        #expect(spec.environment["A"] == "shell" && spec.environment["B"] == "own")
        #expect(spec.privateVariables?.except == ["B"])
    }

    @Test func anotherSecretOrLimitIsAReasonToReplace() throws {
        var before = ReplicaSpec(service: "a", replica: "a-1", arguments: ["/bin/sh"], workingFolder: "/")
        before.privateVariables = PrivateVariables(secrets: ["TOKEN": "/token"], digests: ["TOKEN": "1", "LEVEL": "2"])
        var after = before
        after.privateVariables?.secrets = ["TOKEN": "/elsewhere"]
        #expect(before.mayGoOn(as: after), "the same value from another file")
        after.privateVariables?.digests = ["TOKEN": "3"]
        #expect(before.difference(to: after) == "other values in files: LEVEL, TOKEN")
        after = before
        after.limits = ProcessLimits(openFiles: 64)
        #expect(before.difference(to: after) == "other limits")
    }
}
