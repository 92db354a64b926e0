import Foundation
import MeshConfiguration
import MeshSupervision
import Testing

@testable import meshd

@Suite struct VariableReaderTests {
    /// From FIPS 180-4's examples, and two lengths around the end of a block.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (String(repeating: "a", count: 64), "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"),
        (String(repeating: "a", count: 119), "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"),
    ])
    func hashes(text: String, expected: String) {
        let digits = SHA256.digest(Array(text.utf8)).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        #expect(digits == expected)
    }

    private let folder = FileManager.default.temporaryDirectory.appending(path: "mesh-variables-\(UUID().uuidString)")

    private func write(_ name: String, _ text: String) throws -> String {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let file = folder.appending(path: name)
        try text.write(to: file, atomically: true, encoding: .utf8)
        return file.path
    }

    @Test func secretsCountOverFilesAndMeshYAMLOverThem() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let first = try write("a.env", "A=1\nB=1\nLEVEL=debug\nMESH_NAME=other\n")
        let second = try write("b.env", "B=2\nTOKEN=file\n")
        let token = try write("token", "secret\n")
        let reader = VariableReader(saltPath: folder.path + "/salt")
        let values = try reader.values(
            of: PrivateVariables(files: [first, second], secrets: ["TOKEN": token], except: ["LEVEL"]))
        #expect(values == ["A": "1", "B": "2", "TOKEN": "secret"])
    }

    @Test func whatCantBeReadSaysWhyAndWhere() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let reader = VariableReader(saltPath: folder.path + "/salt")
        let path = try write("a.env", "A=1\nhunter2\n")
        #expect(throws: VariableReader.Failure(description: "env_file \(path), line 2: there is no '=' behind the name")) {
            try reader.values(of: PrivateVariables(files: [path]))
        }
        #expect(throws: VariableReader.Failure(description: "secret TOKEN: /no/token can't be read: no such file")) {
            try reader.values(of: PrivateVariables(secrets: ["TOKEN": "/no/token"]))
        }
    }

    @Test func aChangeIsToldByDigestsOfThisMeshAlone() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let token = try write("token", "secret-one")
        func describe(salt: String) throws -> PrivateVariables {
            let mark = SourceMark(file: 0, line: 1, column: 1)
            let file = MeshDocument.VariableFiles.File(path: token, written: "token", mark: mark)
            let files = MeshDocument.VariableFiles(secrets: [.init(name: "TOKEN", file: file)])
            return try #require(VariableReader(saltPath: folder.path + "/" + salt).describe(files, except: []))
        }
        let before = try describe(salt: "one")
        #expect(try describe(salt: "one") == before)
        #expect(try describe(salt: "two") != before)
        _ = try write("token", "secret-two")
        let after = try describe(salt: "one")
        #expect(PrivateVariables.changes(from: before, to: after) == ["TOKEN"])
        #expect(PrivateVariables.changes(from: nil, to: after) == ["TOKEN"])
        #expect(!String(decoding: try JSONEncoder().encode(after), as: UTF8.self).contains("secret-two"))
    }
}
