import MeshConfiguration
import MeshModel
import TestSupport
import Testing

@Suite(.calculating) struct RandomEditTests {
    private static let snippets: [[Unicode.Scalar]] = [
        "{", "}", "[", "]", ":", ": ", ",", "\n", "\r\n", "\t", "  ", "#", "&a ", "*a", "<<: *a", "\"", "'", "|", "- ", "---\n", "${X}",
        "${", "%",
        "ä", "\u{1F600}", "\u{2028}", "\u{85}", "\u{feff}", "\u{0}", "\u{f0001}", "timeout", "null", "!!str ", "? ", "1", "800",
    ].map { Array($0.unicodeScalars) }

    /// Whatever is done to the shop's file: no crash, and every finding points into the file.
    @Test(arguments: 0..<80) func findingsStayWithinTheFile(seed: Int) throws {
        var random = RandomSource(seed: UInt64(seed))
        let original = Array(try packageFile("mesh.yaml").unicodeScalars)
        for _ in 0..<4 {
            var text = original
            for _ in 0...random.next(below: 4) {
                let position = random.next(below: text.count)
                switch random.next(below: 4) {
                case 0: text.insert(contentsOf: Self.snippets[random.next(below: Self.snippets.count)], at: position)
                case 1: text.removeSubrange(position..<min(text.count, position + 1 + random.next(below: 12)))
                case 2:
                    let end = min(text.count, position + random.next(below: 60))
                    text.insert(contentsOf: text[position..<end], at: random.next(below: text.count))
                default: text[position] = text[random.next(below: text.count)]
                }
            }
            var view = String.UnicodeScalarView()
            view.append(contentsOf: text)
            let edited = String(view)
            let (document, findings) = judge(edited)
            let lines = lines(of: edited.hasPrefix("\u{feff}") ? text.dropFirst() : text[...])
            for finding in findings {
                try #require((1...lines.count).contains(finding.line), "\(finding)")
                let length = lines[finding.line - 1].count
                #expect((1...length + 1).contains(finding.column), "\(finding)")
                #expect(finding.column + finding.length - 1 <= Swift.max(length, finding.column), "\(finding)")
                #expect(Array(finding.sourceLine.unicodeScalars) == lines[finding.line - 1])
                #expect(!finding.rendered.isEmpty)
            }
            #expect((document == nil) == findings.hasErrors)
        }
    }

    private func lines(of text: ArraySlice<Unicode.Scalar>) -> [[Unicode.Scalar]] {
        var lines: [[Unicode.Scalar]] = [[]]
        var previous: Unicode.Scalar?
        for scalar in text {
            if "\n\r\u{85}\u{2028}\u{2029}".unicodeScalars.contains(scalar) {
                if !(scalar == "\n" && previous == "\r") { lines.append([]) }
            } else {
                lines[lines.count - 1].append(scalar)
            }
            previous = scalar
        }
        return lines
    }
}
