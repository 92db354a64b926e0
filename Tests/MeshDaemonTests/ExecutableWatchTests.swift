import MeshModel
import Testing

@testable import meshd

@Suite struct ExecutableWatchTests {
    private typealias Sight = ExecutableWatch.Sight

    private static func sight(_ version: Int, isBeingWritten: Bool = false) -> Sight {
        Sight(device: 1, inode: UInt64(version), size: 100, changedAt: Int64(version), isBeingWritten: isBeingWritten)
    }

    /// What is seen of one file every 250 ms, and at which of these looks it is told of.
    @Test(arguments: [
        ("nothing changes", [1, 1, 1, 1, 1, 1, 1, 1], []),
        ("it is another one, and stays so", [1, 2, 2, 2, 2, 2, 2, 2], [5]),
        ("it grows for a while", [1, 2, 3, 4, 5, 5, 5, 5, 5, 5], [8]),
        ("it comes back", [1, 2, 2, 1, 1, 1, 1, 1], []),
        ("it is missing between two builds", [1, 0, 0, 0, 2, 2, 2, 2, 2], [8]),
        ("it is missing while it settles", [1, 2, 2, 2, 0, 2, 2, 2, 2, 2], [9]),
        ("two builds, one after the other", [1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3], [5, 10]),
        ("it was not there at first", [0, 0, 2, 2, 2, 2, 2, 2], []),
        ("somebody holds it open for writing", [1, -2, -2, -2, -2, -2, -2, 2, 2], [7]),
    ])
    func isToldOfOnceItIsWhole(name: String, seen: [Int], told: [Int]) {
        var watch = ExecutableWatch()
        var found: [Int] = []
        for (look, version) in seen.enumerated() {
            let sight: Sight? = version == 0 ? nil : Self.sight(abs(version), isBeingWritten: version < 0)
            if !watch.saw(["/bin/a": sight], Instant(nanoseconds: Int64(look) * 250_000_000)).isEmpty { found.append(look) }
        }
        #expect(found == told, "\(name)")
    }

    @Test func filesAreToldOfForThemselvesAndForgottenWithTheirService() {
        var watch = ExecutableWatch()
        func time(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }
        #expect(watch.saw(["/a": Self.sight(1), "/b": Self.sight(1), "/c": Self.sight(1)], time(0)) == [])
        #expect(watch.saw(["/a": Self.sight(2), "/b": Self.sight(1), "/c": Self.sight(2)], time(1)) == [])
        #expect(watch.saw(["/a": Self.sight(2), "/b": Self.sight(1), "/c": Self.sight(2)], time(3)) == ["/a", "/c"])
        #expect(watch.saw(["/b": Self.sight(1)], time(4)) == [])
        #expect(watch.saw(["/a": Self.sight(5), "/b": Self.sight(1)], time(5)) == [], "it is new to us")
    }
}
