import Foundation
import MeshAdminAPI
import MeshModel
import Testing

@testable import meshd

/// Logs as they lie in a folder, with files that are begun anew while they are read.
@Suite struct LogFileTests {
    private final class Folder {
        let path = NSTemporaryDirectory() + "mesh-log-\(UUID().uuidString)"
        var log: LogFile { LogFile(path: path + "/log") }
        private var written = 0

        init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(atPath: path) }

        /// Appends numbered lines, a second after the other.
        func write(_ count: Int, incarnation: String = "one", padding: Int = 0) throws {
            var text = ""
            for _ in 0..<count {
                written += 1
                let time = Timestamp(nanoseconds: Int64(written) * 1_000_000_000)
                text += "\(time) \(incarnation) out line \(written)\(String(repeating: ".", count: padding))\n"
            }
            try append(text)
        }

        func append(_ text: String) throws {
            let file = open(path + "/log", O_WRONLY | O_CREAT | O_APPEND, 0o600)
            let handle = FileHandle(fileDescriptor: file, closeOnDealloc: true)
            try handle.write(contentsOf: Data(text.utf8))
        }

        /// As a shim does.
        func rotate(keeping kept: Int = 3) {
            for number in stride(from: kept, through: 1, by: -1) {
                rename(number > 1 ? "\(path)/log.\(number - 1)" : "\(path)/log", "\(path)/log.\(number)")
            }
        }
    }

    private func numbers(_ lines: [LogFile.Line]) -> [Int] {
        lines.compactMap { Int($0.text.dropFirst(5).prefix { $0.isNumber }) }
    }

    @Test func theLastLinesComeFromAllFiles() throws {
        let folder = try Folder()
        #expect(folder.log.last(10).lines == [])
        try folder.write(5)
        folder.rotate()
        try folder.write(5)
        folder.rotate()
        #expect(numbers(folder.log.last(7).lines) == Array(4...10), "also in the moment when there is no newest file")
        try folder.write(2)
        #expect(numbers(folder.log.last(1).lines) == [12])
        #expect(numbers(folder.log.last(100).lines) == Array(1...12))
        #expect(folder.log.last(0).lines == [])
    }

    @Test func longLinesAndManyAreReadInBlocks() throws {
        let folder = try Folder()
        try folder.write(700, padding: 5000)
        #expect(numbers(folder.log.last(700).lines) == Array(1...700))
        #expect(numbers(folder.log.last(300).lines) == Array(401...700))
    }

    @Test func linesAreChosenBySinceAndByTheOneWhoAsks() throws {
        let folder = try Folder()
        try folder.write(10)
        folder.rotate()
        try folder.write(10, incarnation: "two")
        #expect(numbers(folder.log.last(100, since: Timestamp(nanoseconds: 8_000_000_000)).lines) == Array(8...20))
        #expect(numbers(folder.log.last(3) { $0.instance == "one" }.lines) == [8, 9, 10])
        #expect(numbers(folder.log.lastLines(12, of: "one")) == [9, 10])
    }

    @Test func aLineThatIsNotWholeYetIsReadLater() throws {
        let folder = try Folder()
        try folder.write(1)
        try folder.append("1970-01-01T00:00:02Z one out li")
        var (lines, position) = folder.log.last(10)
        #expect(numbers(lines) == [1])
        #expect(folder.log.readOn(from: &position).lines == [])
        try folder.append("ne 2\n")
        #expect(numbers(folder.log.readOn(from: &position).lines) == [2])
        #expect(folder.log.readOn(from: &position).lines == [])
    }

    @Test(arguments: 0..<40) func aFollowedLogLosesAndDoublesNothing(seed: UInt64) throws {
        var random = RandomSource(seed: seed)
        let folder = try Folder()
        var position: LogFile.Position?
        var read: [Int] = []
        var behind = 0
        for _ in 0..<60 {
            switch random.next(below: 4) {
            // A shim does so with a file that has become too large. The one that was read last may have been rotated already.
            case 0 where behind < 2 && FileManager.default.fileExists(atPath: folder.path + "/log"):
                folder.rotate()
                behind += 1
            case 1:
                let (lines, isTorn) = folder.log.readOn(from: &position)
                #expect(!isTorn)
                read += numbers(lines)
                behind = 0
            default: try folder.write(Int(random.next(below: 30)), padding: Int(random.next(below: 200)))
            }
        }
        read += numbers(folder.log.readOn(from: &position).lines)
        #expect(read == Array(1...max(1, read.count)) || read.isEmpty)
        #expect(read.count == numbers(folder.log.last(100_000).lines).max() ?? 0)
    }

    @Test func whatWasDroppedBeforeItWasReadIsSaid() throws {
        let folder = try Folder()
        try folder.write(3)
        var position = folder.log.last(10).end
        for _ in 0..<3 {
            folder.rotate(keeping: 2)
            try folder.write(3)
        }
        let (lines, isTorn) = folder.log.readOn(from: &position)
        #expect(isTorn)
        #expect(numbers(lines) == Array(4...12))
        #expect(folder.log.readOn(from: &position).lines == [])
    }
}
