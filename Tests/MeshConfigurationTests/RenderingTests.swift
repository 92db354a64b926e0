import MeshConfiguration
import Testing

@Suite struct RenderingTests {
    let text = """
        mesh: shop
        defaults: { timeout: 800ms }
        gateway:
          run: bin/edge-gateway
          deadline: 1s
          retry_credit: off
          routes:
            /catalog/**: { to: catalog, timeout: 300ms }
        services:
          catalog:
            tier: domain
            run: bin/catalog
            calls: { inventory: { retry: { attempts: 3 } } }
          inventory:
            tier: enterprise
            run: bin/inventory
            limits: { memry: 512MB }
        """

    @Test func findingsReadAsDrawn() {
        let (_, findings) = judge(text)
        let expected = """
            warning[M031] /catalog/** allows 300ms, but catalog -> inventory may wait 800ms
              --> mesh.yaml:13:14
            13 |     calls: { inventory: { retry: { attempts: 3 } } }
               |              ^^^^^^^^^
               = fix: services.catalog.calls.inventory.timeout <= 280ms
            warning[M032] one GET /catalog/** can become 6 calls to inventory (edge 2 x catalog 3; retry_credit is off)
              --> mesh.yaml:13:14
            13 |     calls: { inventory: { retry: { attempts: 3 } } }
               |              ^^^^^^^^^
               = fix: services.catalog.calls.inventory.retry.attempts <= 2
            error[M012] unknown key 'memry' in services.inventory.limits
              --> mesh.yaml:17:15
            17 |     limits: { memry: 512MB }
               |               ^^^^^ did you mean 'memory'?
               = allowed: memory, cpu, files, in_flight       more: mesh explain M012

            """
        #expect(findings.rendered == expected)
    }

    @Test func jsonHasTheDocumentedShape() {
        let (_, findings) = judge("mesh: shop\ntirs: [a]\n")
        #expect(
            findings.json.text()
                .hasPrefix(
                    #"[{"code":"M012","severity":"error","file":"mesh.yaml","line":2,"column":1,"message":"unknown key 'tirs' at the top","suggestion":"did you mean 'tiers'?","allowed":["mesh","tiers","#
                ))
        #expect(judge("mesh: shop\n").findings.json.text() == "[]")
    }

    @Test func markerStandsRightBehindTabsAndWideText() {
        let (_, findings) = judge("mesh: shop\ndefaults: {\ttimeout: 1s, \"näh\": 1, retri: never }\n")
        #expect(places(findings) == ["M012 2:26", "M012 2:36"])
        #expect(findings[1].rendered.contains("\n   |            \t                       ^^^^^ did you mean 'retry'?\n"))
    }

    @Test(arguments: FindingCode.allCases) func everyCodeIsExplained(_ code: FindingCode) throws {
        let text = try #require(Explanation.text(for: code.rawValue.lowercased()))
        #expect(text.hasPrefix("\(code.rawValue) (\(code.severity.rawValue)): "))
        #expect(text.contains("Example:\n\n    "))
        #expect(text.contains("How to fix it: "))
        #expect(try packageFile("docs/mesh-yaml.md").contains("| \(code.rawValue) | "), "docs/mesh-yaml.md lists every code")
    }

    /// The page's tables are those of the model; `mesh-yaml.md` between the two marks is replaced by `Schema.reference()` when it changes.
    @Test func pageListsEveryKey() throws {
        let page = try packageFile("docs/mesh-yaml.md")
        let start = try #require(page.firstRange(of: "<!-- keys -->\n"))
        let end = try #require(page.firstRange(of: "<!-- end of keys -->"))
        #expect(String(page[start.upperBound..<end.lowerBound]) == Schema.reference())
    }

    @Test func unknownCodeHasNoText() {
        #expect(Explanation.text(for: "M999") == nil)
    }
}
