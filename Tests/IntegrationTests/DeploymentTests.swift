import Curl
import Foundation
import Testing

/// Changes of a mesh that serves: none of its callers may notice, and what is no good never takes the place of what is.
extension RealProcesses {
    @Suite struct DeploymentTests {
        /// A mesh whose programs are copies, so that a test can put others in their place.
        private func replaceable(_ deploy: String = "min_healthy_time: 100ms", echo: String = "run: ./echo") throws -> TestMesh {
            let mesh = try TestMesh(yaml(deploy, echo: echo))
            for program in ["edge-gateway", "relay", "echo"] { try mesh.install(program, build: 0) }
            return mesh
        }

        private func yaml(
            _ deploy: String = "min_healthy_time: 100ms", echo: String = "run: ./echo", timeout: String = "10s"
        ) -> String {
            """
            mesh: replaced
            defaults: { timeout: \(timeout) }
            gateway: { run: ./edge-gateway, listen: "127.0.0.1:0", deadline: 10s, routes: { "/**": relay } }
            services:
              relay: { tier: domain, run: ./relay, calls: { echo: {} }, deploy: { \(deploy) } }
              echo:  { tier: enterprise, \(echo), replicas: 2, ready: { get: /healthz, every: 100ms, within: 3s }, deploy: { \(deploy) } }
            """
        }

        private func load(on mesh: TestMesh, rate: Int = 60) throws -> SteadyLoad {
            let gateway = try mesh.gateway
            let post = CurlRequest("POST", gateway + "/orders", body: .text(String(repeating: "x", count: 4000)))
            return SteadyLoad([CurlRequest("GET", gateway + "/"), post, CurlRequest("GET", gateway + "/bytes/100000")], rate: rate)
        }

        private func expectNothingLost(
            _ load: SteadyLoad, atLeast least: Int = 1, sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let result = load.finish()
            #expect(result.failures.isEmpty, "\(result.failures.count): \(result.failures.prefix(3))", sourceLocation: sourceLocation)
            #expect(result.answered >= least, sourceLocation: sourceLocation)
        }

        @Test func nothingIsLostWhileEverythingIsReplaced() throws {
            let mesh = try replaceable()
            try mesh.up()
            let load = try load(on: mesh)
            // One that takes longer than any of the changes, and must not be cut.
            let long = SteadyLoad(CurlRequest("GET", try mesh.gateway + "/slow?s=4"), rate: 2, seconds: 4)

            for service in ["echo", "relay", "gateway"] {
                let before = try mesh.pids(of: service)
                try mesh.expectSuccess("restart", service)
                #expect(try mesh.pids(of: service).isDisjoint(with: before), "\(service) was not replaced")
            }
            try mesh.expectSuccess("scale", "echo=3")
            #expect(try mesh.pids(of: "echo").count == 3)
            try mesh.expectSuccess("scale", "echo=1")
            #expect(try mesh.pids(of: "echo").count == 1)

            let version = try mesh.versions(of: "relay")
            try mesh.install("relay", build: 1)
            try mesh.expectSuccess("deploy", "relay")
            #expect(try mesh.versions(of: "relay") != version)

            let survivors = try mesh.pids(of: "relay")
            for timeout in ["9s", "8s", "7s"] {
                try mesh.write(yaml(timeout: timeout))
                try mesh.expectSuccess("up", "-d")
            }
            #expect(try mesh.pids(of: "relay") == survivors, "other rules are no reason for other processes")
            #expect(try mesh.pids(of: "echo").count == 2, "mesh.yaml says how many again")

            expectNothingLost(long, atLeast: 8)
            expectNothingLost(load, atLeast: 100)
        }

        /// What a bad version is, and how its failure is told.
        static let badVersions = [
            ("run: [sh, -c, \"echo bad schema v7 >&2; exit 1\"]", "bad schema v7"),
            ("run: sleep 600", "not ready"),
        ]

        @Test(arguments: badVersions) func aVersionThatDoesNotComeUpIsTakenBack(run: String, reason: String) throws {
            let mesh = try replaceable()
            try mesh.up()
            let before = try mesh.pids(of: "echo")
            let load = try load(on: mesh)
            try mesh.write(yaml(echo: run))
            let up = try mesh.mesh("up", "-d")
            #expect(up.status == 1)
            let told = up.errors + up.output
            #expect(told.contains(reason) && told.contains("what ran before goes on"), "\(told)")
            #expect(try mesh.pids(of: "echo") == before)
            #expect(try mesh.instances.allSatisfy { $0["ready"] as? Bool == true }, "nothing of the new version is left")
            expectNothingLost(load)
            // What is in mesh.yaml is still not what runs.
            #expect(try mesh.mesh("plan").status == 2)
        }

        @Test func aPlanSaysWhatUpWouldDoAndChangesNothing() throws {
            let mesh = try replaceable()
            let first = try mesh.mesh("plan", "--json")
            #expect(first.status == 2, "\(first.errors)")
            #expect(Set(first.objects.compactMap { $0["action"] as? String }) == ["start"])
            try mesh.up()
            let same = try mesh.mesh("plan")
            #expect(same.status == 0, "\(same.output)\(same.errors)")

            let before = try mesh.instances.compactMap { $0["pid"] as? Int }
            try mesh.install("relay", build: 1)
            try mesh.write(yaml(timeout: "9s").replacing("replicas: 2", with: "replicas: 3"))
            let changed = try mesh.mesh("plan", "--json")
            #expect(changed.status == 2)
            let actions = Dictionary(
                uniqueKeysWithValues: changed.objects.compactMap { object in
                    (object["service"] as? String).map { ($0, object["action"] as? String ?? "") }
                })
            #expect(actions == ["gateway": "live", "relay": "replace", "echo": "scale"])
            #expect(try mesh.mesh("plan").output.contains("a new build of relay"))
            #expect(try mesh.instances.compactMap { $0["pid"] as? Int } == before)

            try mesh.write("mesh: replaced\nservices: 7\n")
            #expect(try mesh.mesh("plan").status == 1)
        }

        @Test func rollbackGoesToTheBuildBeforeAlthoughItsFileIsAnotherNow() throws {
            let mesh = try replaceable()
            try mesh.up()
            let old = try mesh.versions(of: "relay")
            try mesh.install("relay", build: 1)
            try mesh.up()
            let new = try mesh.versions(of: "relay")
            #expect(old != new)
            let load = try load(on: mesh)
            try mesh.expectSuccess("rollback")
            #expect(try mesh.versions(of: "relay") == old)
            try mesh.expectSuccess("rollback", "relay")
            #expect(try mesh.versions(of: "relay") == new, "a second one goes forward again")
            expectNothingLost(load)
        }

        @Test func aPersonIsAskedBeforeWhatServesIsReplaced() throws {
            let mesh = try replaceable()
            try mesh.up()
            let before = try mesh.pids(of: "relay")
            try mesh.install("relay", build: 1)
            let no = try mesh.inTerminal("up -d", typing: "n")
            #expect(no.output.contains("a new build of relay") && no.output.contains("go on? [y/N]"), "\(no.output)\(no.errors)")
            #expect(no.status == 1 && no.output.contains("nothing was changed"), "\(no.output)")
            #expect(try mesh.pids(of: "relay") == before)
            // Without a person, or with the consent given beforehand, nothing is asked.
            let yes = try mesh.inTerminal("up -d", typing: "y")
            #expect(yes.status == 0 && yes.output.contains("go on? [y/N]"), "\(yes.output)\(yes.errors)")
            #expect(try mesh.pids(of: "relay").isDisjoint(with: before))
            try mesh.install("relay", build: 2)
            let told = try mesh.inTerminal("up -d --yes", typing: "n")
            #expect(told.status == 0 && !told.output.contains("go on?"), "\(told.output)")
            // What is live asks nobody.
            try mesh.write(yaml(timeout: "9s"))
            #expect(try mesh.inTerminal("up -d", typing: "n").status == 0)
        }

        @Test func unknownServicesAreNamedWithThoseThatThereAre() throws {
            let mesh = try replaceable()
            try mesh.up()
            for command in ["restart", "deploy", "rollback"] {
                let run = try mesh.mesh(command, "ech")
                #expect(run.status == 1)
                #expect(run.errors.contains("ech") && run.errors.contains("relay"), "\(run.errors)")
            }
            #expect(try mesh.mesh("scale", "echo").status == 2)
            #expect(try mesh.mesh("scale", "gateway=2").status == 1)
        }
    }
}

extension TestMesh {
    /// Puts a program of this build into the mesh's folder, in place of the one that is there, as a linker does: as a new file.
    ///
    /// - Parameter build: programs that differ in it do the same and are other builds.
    func install(_ program: String, build: Int) throws {
        let place = folder.appending(path: program)
        let fresh = folder.appending(path: program + ".new")
        try FileManager.default.copyItem(at: URL(filePath: Programs.path(program)), to: fresh)
        if build > 0 {
            // Behind the end of an executable, where nothing looks.
            let file = try FileHandle(forWritingTo: fresh)
            try file.seekToEnd()
            try file.write(contentsOf: Data("build \(build)".utf8))
            try file.close()
        }
        guard rename(fresh.path(percentEncoded: false), place.path(percentEncoded: false)) == 0 else {
            throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
        }
    }

    /// Runs `mesh` on a terminal of its own (`script` of util-linux), where somebody types a line.
    func inTerminal(_ arguments: String, typing line: String) throws -> CommandRun {
        let command = "\"\(Programs.path("mesh"))\" \(arguments) -f \"\(file.path(percentEncoded: false))\""
        return try RunningCommand(
            "/bin/sh", ["-c", "printf '\(line)\\n' | script -qec '\(command)' /dev/null"], environment: environment, folder: folder
        ).end(within: 60)
    }

    func expectSuccess(_ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation) throws {
        let run = try start(arguments).end(within: 60)
        try #require(run.status == 0, "mesh \(arguments): \(run.errors)\(run.output)\(daemonLog)", sourceLocation: sourceLocation)
    }

    func pids(of service: String) throws -> Set<Int> {
        Set(try instances.filter { $0["service"] as? String == service }.compactMap { $0["pid"] as? Int })
    }

    func versions(of service: String) throws -> Set<String> {
        Set(try instances.filter { $0["service"] as? String == service }.compactMap { $0["version"] as? String })
    }
}
