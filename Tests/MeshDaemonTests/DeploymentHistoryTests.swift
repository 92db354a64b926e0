import Foundation
import MeshAdminAPI
import MeshConfiguration
import MeshModel
import Testing

@testable import meshd

@Suite struct DeploymentHistoryTests {
    private let path = FileManager.default.temporaryDirectory.appending(path: "deployments-\(UUID().uuidString).json").path(
        percentEncoded: false)

    private func content(_ text: String) -> DeploymentHistory.Content {
        .init(source: .init(file: "/mesh.yaml", files: ["/mesh.yaml": text], environment: [:]), adjustments: .init(), builds: ["crm": text])
    }

    @Test func whatWasAppliedIsFoundAgainByTheNextDaemon() throws {
        defer { unlink(path) }
        var history = DeploymentHistory(path: path)
        #expect(history.previous == nil)
        for text in ["a", "b", "b"] { try history.add(content(text), at: Timestamp(UnixTime(nanoseconds: 0))) }
        let next = DeploymentHistory(path: path)
        #expect(next.records.map(\.content) == [content("a"), content("b")], "the same again is no change")
        #expect(next.previous?.content == content("a"))
        #expect(next.builds == ["a", "b"])
        #expect(next.records.map(\.number) == [1, 2])
    }

    @Test func onlySoManyAreKeptAndOnlyForTheOwner() throws {
        defer { unlink(path) }
        var history = DeploymentHistory(path: path)
        for number in 1...DeploymentHistory.most + 3 { try history.add(content("\(number)"), at: Timestamp(UnixTime(nanoseconds: 0))) }
        #expect(DeploymentHistory(path: path).records.map(\.number) == Array(4...13))
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    @Test func whatCantBeReadCountsAsNeverApplied() throws {
        defer { unlink(path) }
        try Data("{".utf8).write(to: URL(filePath: path))
        #expect(DeploymentHistory(path: path).records.isEmpty)
    }

    @Test func aRecordIsAppliedFromItsOwnFiles() throws {
        let recorded = RecordedEnvironment(files: ["/mesh.yaml": "mesh: old"], system: .init(variables: [:]))
        #expect(try recorded.contents(ofFile: "/mesh.yaml") == Array("mesh: old".utf8))
        #expect(recorded.fileExists("/mesh.yaml"))
    }
}
