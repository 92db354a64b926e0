import Foundation
import Testing

@Suite struct ArchitectureTests {
    @Test(arguments: ImportTable.rows.keys.sorted())
    func importsOnlyWhatTheTableAllows(target: String) throws {
        let row = try #require(ImportTable.rows[target])
        var allowed = ImportTable.reach(of: target).union(ImportTable.always)
        if !ImportTable.deciding.contains(target) { allowed.formUnion(ImportTable.system) }
        for file in try Checkout.swiftFiles(below: row.folder) {
            for module in Checkout.imports(in: try String(contentsOf: file, encoding: .utf8)) {
                #expect(allowed.contains(module), "\(file.lastPathComponent) of \(target) imports \(module)")
            }
        }
    }

    @Test func everyFolderOfSourceHasARow() throws {
        let known = Set(ImportTable.rows.values.map(\.folder))
        let plainC: Set<String> = ["Sources/CCurl", "Sources/CCurlShims", "Sources/CZlib", "Sources/mesh-shim"]
        for folder in try Checkout.folders(below: "Sources") + Checkout.folders(below: "services", depth: 2) {
            #expect(known.contains(folder) || plainC.contains(folder), "\(folder) has no row in the import table")
        }
    }

    @Test func arrowsRunOneWay() {
        for target in ImportTable.rows.keys {
            #expect(!ImportTable.reach(of: target).contains(target), "\(target) can reach itself")
        }
    }

    @Test func theCommandLineToolKnowsNoNIO() {
        #expect(ImportTable.reach(of: "mesh").isDisjoint(with: ImportTable.nio))
    }

    @Test func decidingCodeReachesNoSystemModule() {
        for target in ImportTable.deciding {
            let reach = ImportTable.reach(of: target)
            #expect(reach.isDisjoint(with: ImportTable.system) && reach.isDisjoint(with: ImportTable.nio), "\(target)")
        }
    }

    /// The thread sanitizer does not see a `Mutex`; `Guarded` says to it what the lock does.
    @Test func locksAreOnesThatTheThreadSanitizerSees() throws {
        for folder in ["Sources", "services"] {
            for file in try Checkout.swiftFiles(below: folder) where file.lastPathComponent != "Guarded.swift" {
                let text = try String(contentsOf: file, encoding: .utf8)
                #expect(!text.contains(/\bMutex[<(]/), "\(file.lastPathComponent) has a Mutex where a Guarded is wanted")
            }
        }
    }

    @Test func importLinesAreRead() {
        let text = """
            import A
            package import B
            @testable import C
            @preconcurrency internal import struct D.E
            // import F
            let text = "import G"
            """
        #expect(Checkout.imports(in: text) == ["A", "B", "C", "D"])
    }
}
