import MeshConfiguration
import MeshModel
import MeshPolicy
import Testing

@Suite struct MergingTests {
    @Test func profileIsLaidOverTheFile() throws {
        let text = """
            mesh: shop
            services:
              inventory: { tier: enterprise, run: "bin/inventory --all", replicas: 3, args: [a, b] }
            profiles:
              dev: { watch: true, services: { inventory: { replicas: 1, args: [c] } } }
              prod: { defaults: { timeout: "${UNSET_TIMEOUT}" } }
            """
        let plain = try #require(judge(text).document)
        #expect(plain.services[0].replicas == 3)
        #expect(!plain.restartsOnChange)
        let (document, findings) = judge(text, profile: "dev")
        let dev = try #require(document)
        #expect(findings.isEmpty)
        #expect(dev.profile == "dev")
        #expect(dev.restartsOnChange)
        #expect(dev.services[0].replicas == 1)
        #expect(dev.services[0].versions[0].command.arguments == ["--all", "c"])
        #expect(places(judge(text, profile: "prod").findings) == ["M005 6:32"])
    }

    @Test func includedFilesLieBelow() throws {
        let (document, findings) = judge(
            """
            include: [base/a.yaml, base/b.yaml]
            mesh: shop
            services: { crm: { replicas: 2 } }
            """,
            files: [
                "/mesh/base/a.yaml": "mesh: other\nservices: { crm: { tier: domain, run: ./crm }, tax: { tier: domain, run: ./tax } }\n",
                "/mesh/base/b.yaml": "services: { crm: { tier: enterprise } }\ntraces: { store: { path: traces } }\n",
            ])
        #expect(findings.isEmpty)
        let mesh = try #require(document)
        #expect(mesh.name == "shop")
        #expect(mesh.services.map(\.name) == ["crm", "tax"])
        #expect(mesh.services[0].tier == "enterprise")
        #expect(mesh.services[0].replicas == 2)
        // Relative paths start at the folder of the file that has them.
        #expect(mesh.services[0].versions[0].command.executable == "/mesh/base/crm")
        #expect(mesh.traces.storePath == "/mesh/base/traces")
    }

    @Test func findingsOfIncludedFilesNameTheirFile() {
        let (_, findings) = judge(
            "mesh: shop\ninclude: base/a.yaml\ntirs: []\n",
            files: ["/mesh/base/a.yaml": "services:\n  crm: { teir: enterprise, run: ./crm }\n"])
        #expect(
            findings.map { "\($0.file) \($0.code.rawValue) \($0.line):\($0.column)" } == ["mesh.yaml M012 3:1", "base/a.yaml M012 2:10"])
    }

    @Test func listsReplaceAndNeverReplacesAMap() throws {
        let document = try #require(
            judge(
                """
                mesh: shop
                defaults: { retry: { attempts: 4, on: [connect, 503], backoff: { base: 10ms, max: 1s } }, breaker: off, slow_start: off }
                services:
                  a:
                    tier: domain
                    run: bin/a
                    calls:
                      b: { retry: { on: [5xx, UNAVAILABLE, timeout], backoff: { max: 2s } }, breaker: { errors: 0.25 } }
                      c: { retry: never }
                      d:
                  b: { tier: enterprise, run: bin/b }
                  c: { tier: enterprise, run: bin/c }
                  d: { tier: enterprise, run: bin/d }
                """
            ).document)
        let calls = document.services[0].calls
        let first = calls[0].policy
        #expect(first.retry.attempts == 4)
        #expect(first.retry.on == RetryConditions(kinds: [.serverError, .timeout], statuses: [], grpcCodes: 1 << 14))
        #expect(first.retry.backoff == BackoffPolicy(base: .milliseconds(10), cap: .seconds(2)))
        #expect(first.breaker?.errorRate == 0.25)
        #expect(first.slowStart == .zero)
        #expect(calls[1].policy.retry.never)
        #expect(calls[2].policy.retry.on == RetryConditions(kinds: [.connect], statuses: [503], grpcCodes: 0))
        #expect(calls[2].policy.breaker == nil)
    }

    @Test func hedgesAreSetAndSwitchedOff() throws {
        let (document, findings) = judge(
            """
            mesh: shop
            defaults: { hedge: { after: p99, max: 2% } }
            services:
              a:
                tier: domain
                run: bin/a
                calls: { b: {}, c: { hedge: { after: 30ms } }, d: { hedge: off } }
              b: { tier: enterprise, run: bin/b }
              c: { tier: enterprise, run: bin/c }
              d: { tier: enterprise, run: bin/d }
            """)
        #expect(findings.rendered == "")
        let calls = try #require(document).services[0].calls
        #expect(calls[0].policy.hedge == HedgePolicy(after: .quantile(0.99), most: 0.02))
        #expect(calls[1].policy.hedge == HedgePolicy(after: .fixed(.milliseconds(30)), most: 0.02))
        #expect(calls[2].policy.hedge == nil)
        #expect(
            judge("mesh: m\nservices: { a: { tier: domain, run: x, calls: [b] }, b: { tier: enterprise, run: y } }").document?.services[0]
                .calls[0].policy.hedge == nil)
    }

    @Test func mergeKeysAndAliasesWork() throws {
        let document = try #require(
            judge(
                """
                mesh: shop
                defaults: &fast { timeout: 100ms, connect_timeout: 10ms }
                services:
                  a: { tier: domain, run: bin/a, calls: { b: { <<: *fast, timeout: 200ms } } }
                  b: { tier: enterprise, run: bin/b }
                """
            ).document)
        #expect(document.services[0].calls[0].policy.timeout == .milliseconds(200))
        #expect(document.services[0].calls[0].policy.connectTimeout == .milliseconds(10))
    }
}

@Suite struct SubstitutionTests {
    func listen(_ text: String, _ variables: [String: String]) -> [SocketAddress]? {
        judge("mesh: shop\ngateway: { listen: \(text) }\n", variables: variables).document?.gateway?.listen.map(\.address)
    }

    @Test func replacesInsideScalars() {
        #expect(listen("${PORT}", ["PORT": "90"]) == [.tcp(host: "0.0.0.0", port: 90)])
        #expect(listen("${PORT:-91}", [:]) == [.tcp(host: "0.0.0.0", port: 91)])
        #expect(listen("${PORT:-91}", ["PORT": ""]) == [.tcp(host: "0.0.0.0", port: 91)])
        #expect(listen("127.0.0.1:${PORT:-91}", ["PORT": "92"]) == [.tcp(host: "127.0.0.1", port: 92)])
        #expect(listen("\"[${HOST}]:${PORT}\"", ["PORT": "93", "HOST": "::1"]) == [.tcp(host: "::1", port: 93)])
        #expect(listen("[\"${PORT}\", 94]", ["PORT": "93"]) == [.tcp(host: "0.0.0.0", port: 93), .tcp(host: "0.0.0.0", port: 94)])
    }

    @Test func valueIsJudgedAfterwards() {
        let (document, findings) = judge("mesh: shop\ndefaults: { timeout: ${T} }\n", variables: ["T": "8"])
        #expect(document == nil)
        #expect(places(findings) == ["M013 2:22"])
        #expect(findings[0].message == "defaults.timeout can't be '8' (from '${T}')")
        #expect(findings[0].length == 4)
    }

    @Test func dollarTwiceIsItself() throws {
        let document = try #require(
            judge("mesh: shop\nservices: { a: { tier: edge, run: a, env: { A: \"x$${B}y\", C: \"$5\", D: 5, E: true } } }\n").document)
        #expect(document.services[0].versions[0].environment.map(\.value) == ["x${B}y", "$5", "5", "true"])
    }
}

@Suite struct CommandTests {
    @Test func textIsCutIntoWordsAndListsAreTakenAsTheyAre() throws {
        let document = try #require(
            judge(
                #"""
                mesh: shop
                services:
                  a: { tier: edge, run: 'python3 "my file.py" --x=\"1\" it\''s' }
                  b: { tier: edge, run: [../bin/b, "two words"], args: [3, --y] }
                """#
            ).document)
        #expect(document.services[0].versions[0].command.executable == "python3")
        #expect(document.services[0].versions[0].command.arguments == ["my file.py", "--x=\"1\"", "it's"])
        #expect(document.services[1].versions[0].command.executable == "/bin/b")
        #expect(document.services[1].versions[0].command.arguments == ["two words", "3", "--y"])
    }
}
