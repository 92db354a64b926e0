import MeshConfiguration
import Testing

@Suite struct VariableFileTests {
    @Test(arguments: [
        ("A=1", ["A=1"]),
        ("# a comment\n\n  \nA=1\nB=2\n", ["A=1", "B=2"]),
        ("export A=1\r\nB=2\r\n", ["A=1", "B=2"]),
        ("A = 1", []),
        ("A= 1 \nB=two words # and a comment", ["A=1", "B=two words"]),
        ("URL=http://host/#part", ["URL=http://host/#part"]),
        ("EMPTY=\nCOMMENT= # nothing", ["EMPTY=", "COMMENT="]),
        ("A=\"two\\nlines \\\"x\\\" \\$HOME \\q\" # quoted", ["A=two\nlines \"x\" $HOME \\q"]),
        ("A='as it is: \\n $X # no comment'", ["A=as it is: \\n $X # no comment"]),
        ("A=b=c", ["A=b=c"]),
        ("\u{feff}A=1", ["A=1"]),
        ("A=1\nA=2", ["A=1", "A=2"]),
    ])
    func readsLines(text: String, variables: [String]) {
        #expect(EnvironmentFile(Array(text.utf8)).variables.map { "\($0.name)=\($0.value)" } == variables)
    }

    @Test(arguments: [
        ("A=1\nnonsense", 2), ("=1", 1), ("2A=1", 1), ("A-B=1", 1), ("A=1\n\nB='open", 3), ("A=\"x\" y", 1), ("A=\"x\\\"", 1),
        ("A =1", 1), ("export", 1), ("A=a\0b", 1),
    ])
    func namesTheLineThatIsNone(text: String, line: Int) {
        #expect(EnvironmentFile(Array(text.utf8)).problems.map(\.line) == [line])
    }

    @Test func bytesThatAreNoTextAreAProblemOfTheirLine() {
        let file = EnvironmentFile(Array("A=1\nB=".utf8) + [0xff, 0x0a] + Array("C=3".utf8))
        #expect(file.problems.map(\.line) == [2])
        #expect(file.variables.map(\.name) == ["A", "C"])
    }

    @Test func whateverStandsInAFileIsReadWithoutACrash() {
        var random = SystemRandomNumberGenerator()
        let alphabet = Array("A=\"'\\ #\n\r\0x$".utf8) + [0xff, 0xc3]
        for _ in 0..<2000 {
            let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in alphabet.randomElement(using: &random)! }
            let file = EnvironmentFile(bytes)
            #expect(file.variables.count + file.problems.count <= bytes.split(separator: 0x0a).count)
        }
    }

    @Test(arguments: [("hunter2\n", "hunter2"), ("hunter2\r\n", "hunter2"), ("two\nlines\n\n", "two\nlines\n"), (" blanks ", " blanks ")])
    func aSecretIsItsFileWithoutTheLastLineEnd(text: String, value: String) throws {
        #expect(try SecretFile.value(Array(text.utf8)) == value)
    }

    @Test(arguments: [[], [0x0a], [0x61, 0, 0x62], [0xff], [UInt8](repeating: 0x61, count: SecretFile.mostBytes + 1)])
    func whatCantBeAValueIsRefused(bytes: [UInt8]) {
        #expect(throws: FileReadError.self) { try SecretFile.value(bytes) }
    }

    private let text = """
        mesh: shop
        services:
          ledger:
            tier: enterprise
            run: bin/ledger
            env: { LEVEL: info }
            env_file: [settings.env, more.env]
            secrets:
              DB_PASSWORD: secrets/db
              LEVEL: secrets/level
        """

    private func findings(_ files: [String: String], permissions: [String: UInt32] = [:]) -> [Finding] {
        var environment = FixedEnvironment(files: files, permissions: permissions)
        environment.files["/mesh/mesh.yaml"] = text
        return MeshDocument.load(path: "mesh.yaml", environment: environment).findings
    }

    @Test func everythingThatIsWrongWithTheFilesIsFoundWithoutShowingThem() {
        let found = findings(
            ["/mesh/settings.env": "REGION=eu\nhunter2\nAPI_TOKEN=hunter3\n", "/mesh/secrets/db": "hunter4\n"],
            permissions: ["/mesh/settings.env": 0o644, "/mesh/secrets/db": 0o640])
        #expect(places(found) == ["M045 7:16", "M046 7:16", "M003 7:30", "M046 9:20", "M003 10:14", "M045 10:14"])
        #expect(found[0].message == "'settings.env', line 2: there is no '=' behind the name")
        #expect(found[1].message == "'settings.env' can be read by others (mode 0644), and it sets API_TOKEN")
        #expect(found[1].fix == "chmod 600 settings.env")
        #expect(found[3].message == "'secrets/db' can be read by others (mode 0640), and it holds DB_PASSWORD")
        #expect(!found.rendered.contains("hunter"))
    }

    @Test func settingsThatAreNoSecretsMayBeReadByAll() {
        let found = findings(
            [
                "/mesh/settings.env": "REGION=eu", "/mesh/more.env": "TOKEN_FILE=/x\nAPI_TOKEN=", "/mesh/secrets/db": "x",
                "/mesh/secrets/level": "x",
            ], permissions: ["/mesh/settings.env": 0o644, "/mesh/more.env": 0o644])
        #expect(places(found) == ["M045 10:14"])
    }

    @Test func filesAndLimitsReachTheDocument() throws {
        let document = try #require(
            judge(
                """
                mesh: shop
                services:
                  crm:
                    tier: enterprise
                    run: bin/crm
                    env_file: a.env
                    secrets: { TOKEN: /run/secrets/token }
                    limits: { memory: 512MB, cpu: 1.5, files: 4096 }
                """, files: ["/mesh/a.env": "A=1", "/run/secrets/token": "x"]
            ).document)
        let service = document.services[0]
        #expect(service.variableFiles.files.map(\.path) == ["/mesh/a.env"])
        #expect(service.variableFiles.secrets.map(\.file.path) == ["/run/secrets/token"])
        #expect(service.limits == MeshDocument.Limits(memoryBytes: 512_000_000, cpus: 1.5, openFiles: 4096))
    }
}
