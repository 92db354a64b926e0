/// Where something stands in a file: 1-based, the column counted in Unicode scalars as YAML parsers do.
package struct SourceMark: Hashable, Sendable, Comparable {
    /// Index into `SourceSet.files`.
    package var file: Int
    package var line: Int
    package var column: Int

    package init(file: Int, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    package static func < (left: SourceMark, right: SourceMark) -> Bool {
        (left.file, left.line, left.column) < (right.file, right.line, right.column)
    }
}

/// A file as it was read, cut into lines where YAML 1.1 breaks them (CR, LF, CR LF, NEL, LS, PS), so that a parser's marks fit.
struct SourceText: Sendable {
    /// As findings name it.
    let path: String
    /// Absolute; relative paths in the file start here.
    let folder: String
    let text: String
    private let lines: [[Unicode.Scalar]]

    init(path: String, folder: String, text: String) {
        self.path = path
        self.folder = folder
        self.text = text
        var lines: [[Unicode.Scalar]] = [[]]
        var afterReturn = false
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x0a where afterReturn: break
            case 0x0a, 0x0d, 0x85, 0x2028, 0x2029: lines.append([])
            default: lines[lines.count - 1].append(scalar)
            }
            afterReturn = scalar.value == 0x0d
        }
        self.lines = lines
    }

    var lineCount: Int { lines.count }

    /// A line without its break; empty outside the file.
    func line(_ number: Int) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars(ofLine: number))
        return String(view)
    }

    func scalars(ofLine number: Int) -> [Unicode.Scalar] {
        lines.indices.contains(number - 1) ? lines[number - 1] : []
    }

    /// How many scalars from `mark` on belong to the token `text`, its quotes included; 1 where that can't be told.
    func length(of token: String, at mark: SourceMark) -> Int {
        let line = scalars(ofLine: mark.line)
        guard mark.column >= 1, mark.column <= line.count else { return 1 }
        let rest = line[(mark.column - 1)...]
        let wanted = Array(token.unicodeScalars)
        if let quote = rest.first, quote == "\"" || quote == "'" {
            guard let end = rest.dropFirst().firstIndex(of: quote) else { return rest.count }
            return end - rest.startIndex + 1
        }
        return !wanted.isEmpty && rest.starts(with: wanted) ? wanted.count : 1
    }
}

/// The files of one configuration: the one that was asked for, then those that it includes.
package struct SourceSet: Sendable {
    var files: [SourceText] = []

    func path(of mark: SourceMark) -> String { files.indices.contains(mark.file) ? files[mark.file].path : "" }
}
