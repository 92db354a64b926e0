import MeshConfiguration
import Testing

@Suite struct BrokenFileTests {
    @Test(arguments: BrokenFile.all)
    func getsAllItsFindingsAtOnce(_ file: BrokenFile) {
        let (document, findings) = judge(file.text, profile: file.profile)
        #expect(places(findings) == file.places, "\(findings.rendered)")
        #expect((document == nil) == findings.hasErrors)
        for finding in findings {
            #expect(finding.file == "mesh.yaml")
            #expect(finding.length >= 1)
            #expect(finding.suggestion != nil || finding.fix != nil || !finding.allowed.isEmpty, "\(finding.rendered)")
        }
    }

    @Test func coversEveryCodeButThoseOfFiles() {
        let covered = Set(BrokenFile.all.flatMap(\.places).map { String($0.prefix(4)) })
        let elsewhere: Set = ["M004", "M041", "M045", "M046"]
        for code in FindingCode.allCases where !elsewhere.contains(code.rawValue) { #expect(covered.contains(code.rawValue), "\(code)") }
    }

    @Test func missingExecutableIsFoundWhereItIsNamed() {
        let text = """
            mesh: shop
            services:
              crm: { tier: enterprise, run: .build/release/crm --x }
              ledger: { tier: enterprise, run: [python3, ledger.py] }
              tax: { tier: enterprise, run: ./tax }
            """
        let (_, findings) = judge(text, variables: ["PATH": "/usr/bin"], executables: ["/usr/bin/python3"])
        #expect(places(findings) == ["M041 3:33", "M041 5:33"])
        #expect(findings.map(\.fix).first == "build it: swift build -c release --product crm")
        let (_, elsewhere) = judge(text, variables: ["PATH": "/opt"], executables: ["/mesh/.build/release/crm", "/mesh/tax"])
        #expect(places(elsewhere) == ["M041 4:37"])
    }

    @Test func includeOfItselfIsFoundInTheFileThatDoesIt() {
        let (_, findings) = judge(
            "mesh: shop\ninclude: parts/a.yaml\n",
            files: ["/mesh/parts/a.yaml": "include: [b.yaml]\n", "/mesh/parts/b.yaml": "tiers: [edge]\ninclude: ../mesh.yaml\n"])
        #expect(places(findings) == ["M004 2:10"])
        #expect(findings.first?.file == "parts/b.yaml")
    }

    @Test func unreadableFiles() {
        let missing = MeshDocument.load(path: "no/mesh.yaml", environment: FixedEnvironment())
        #expect(places(missing.findings) == ["M003 1:1"])
        #expect(missing.findings[0].message == "'no/mesh.yaml' can't be read: no such file")
        let binary = MeshDocument.load(path: "mesh.yaml", environment: FixedEnvironment(bytes: ["/mesh/mesh.yaml": [0x6d, 0xff]]))
        #expect(places(binary.findings) == ["M003 1:1"])
        let control = judge("mesh: shop\nservices: \u{1}\n")
        #expect(places(control.findings) == ["M001 2:11"])
    }

    @Test func aliasesThatExplodeAreStopped() {
        var text = "mesh: shop\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 {
            text += "a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ") + "]\n"
        }
        #expect(places(judge(text).findings).map { String($0.prefix(4)) } == ["M006"])
    }
}
