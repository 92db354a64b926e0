/// The nearest of the allowed words to what was written.
package enum Suggestion {
    /// nil where nothing is near enough to be what was meant: more than a third of the letters differ.
    package static func nearest(to word: String, among candidates: [String]) -> String? {
        let written = Array(word.lowercased())
        guard !written.isEmpty, written.count <= 64 else { return nil }
        var best: (candidate: String, distance: Int)?
        for candidate in candidates {
            let other = Array(candidate.lowercased())
            let limit = Swift.max(1, (Swift.max(written.count, other.count) + 1) / 3)
            var distance = distance(written, other)
            // Another separator, or none, is the commonest slip.
            if distance > 0, written.filter({ $0 != "-" && $0 != "_" }) == other.filter({ $0 != "-" && $0 != "_" }) { distance = 1 }
            if distance <= limit, distance < best?.distance ?? .max { best = (candidate, distance) }
        }
        return best?.candidate
    }

    package static func text(for word: String, among candidates: [String]) -> String? {
        nearest(to: word, among: candidates).map { "did you mean '\($0)'?" }
    }

    /// Edits between two words; swapping two neighbours is one (optimal string alignment).
    private static func distance(_ left: [Character], _ right: [Character]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for (row, letter) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                var cost = Swift.min(last[column + 1] + 1, current[column] + 1, last[column] + (letter == other ? 0 : 1))
                if row > 0, column > 0, letter == right[column - 1], left[row - 1] == other {
                    cost = Swift.min(cost, beforeLast[column - 1] + 1)
                }
                current.append(cost)
            }
            (beforeLast, last) = (last, current)
        }
        return last[right.count]
    }
}
