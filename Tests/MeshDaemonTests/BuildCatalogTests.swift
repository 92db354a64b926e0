import Foundation
import Testing

@testable import meshd

@Suite struct BuildCatalogTests {
    private let folder: String
    private let catalog: BuildCatalog

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "builds-\(UUID().uuidString)").path(percentEncoded: false)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        catalog = BuildCatalog(folder: folder + "/kept", fingerprints: folder + "/fingerprints.json")
    }

    private func write(_ text: String, to name: String = "program") throws -> String {
        let path = "\(folder)/\(name)"
        try Data(text.utf8).write(to: URL(filePath: path), options: .atomic)
        return path
    }

    private func build(_ executable: String, _ arguments: [String] = [], path: String? = nil) -> String? {
        catalog.build(of: executable, arguments, folder: folder, path: path)
    }

    @Test func theSameContentIsTheSameBuildWhereverAndWhenever() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let one = build(try write("one"))
        #expect(one?.count == 16)
        #expect(build(try write("one", to: "other")) == one)
        #expect(build(try write("two")) != one)
        #expect(build(try write("one")) == one, "written again, it is a new file and the same build")
        #expect(build(folder + "/nothing") == nil)
    }

    /// A daemon that comes back answers before it has read hundreds of megabytes.
    @Test func theNextCatalogReadsNoFileAgainThatHasNotChanged() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = try write("one")
        let one = try #require(build(path))
        catalog.save()
        let fingerprints = folder + "/fingerprints.json"
        let saved = try String(contentsOfFile: fingerprints, encoding: .utf8)
        let hash = try #require(UInt64(one, radix: 16))
        // Another hash than the file has: who gives it back has not read the file.
        try saved.replacing("\(hash)", with: "7").write(toFile: fingerprints, atomically: true, encoding: .utf8)
        let next = BuildCatalog(folder: folder + "/kept", fingerprints: fingerprints)
        #expect(next.build(of: path, [], folder: folder, path: nil) == "0000000000000007")
        #expect(next.build(of: try write("two"), [], folder: folder, path: nil) == build(path), "a new file is read")
        try "no JSON".write(toFile: fingerprints, atomically: true, encoding: .utf8)
        let third = BuildCatalog(folder: folder + "/kept", fingerprints: fingerprints)
        #expect(third.build(of: path, [], folder: folder, path: nil) == build(path), "what can't be read is not believed")
    }

    @Test func behindAnInterpreterTheScriptCounts() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let script = try write("print(1)", to: "tax.py")
        let before = build("sh", ["-u", "tax.py"], path: "/usr/bin:/bin")
        #expect(before != nil && before == build("/bin/sh", [script], path: nil))
        _ = try write("print(2)", to: "tax.py")
        #expect(build("sh", ["-u", "tax.py"], path: "/usr/bin:/bin") != before)
    }

    @Test func aKeptBuildIsThereWhenAnotherLiesInItsPlace() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = try write("one")
        let one = try #require(build(path))
        catalog.keep(one, at: path)
        #expect(catalog.otherPlace(of: one, at: path, path: nil) == nil, "it is still where it was")
        let two = try #require(build(try write("two")))
        #expect(catalog.isThere(one, at: path, search: nil))
        #expect(catalog.otherPlace(of: one, at: path, path: nil) == "\(folder)/kept/\(one)")
        #expect(catalog.isThere(two, at: path, search: nil))
        catalog.prune(keeping: [two])
        #expect(!catalog.isThere(one, at: path, search: nil))
    }

    /// A program that is written into instead of replaced changes under its hard link, too.
    @Test func aKeptBuildThatWasWrittenOverIsNoLongerThere() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = try write("one")
        let one = try #require(build(path))
        catalog.keep(one, at: path)
        let file = try #require(FileHandle(forWritingAtPath: path))
        try file.write(contentsOf: Data("two, longer".utf8))
        try file.close()
        #expect(!catalog.isThere(one, at: path, search: nil))
    }
}
