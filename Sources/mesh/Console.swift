import Foundation
import MeshModel
import MeshTerminal

/// Where a command writes: data to standard output, everything else to standard error.
///
/// Lines that are still changing are written over in a terminal, and not written at all elsewhere.
final class Console: Sendable {
    let output: TerminalTraits
    let messages: TerminalTraits
    private let liveLines = Guarded(LiveLines())
    private let liveData = Guarded(LiveLines())
    private let isSilent: Bool

    init(wantedWidth: Int?, wantsColour: Bool, isSilent: Bool = false, environment: [String: String] = ProcessInfo.processInfo.environment)
    {
        func traits(_ descriptor: Int32) -> TerminalTraits {
            TerminalTraits(
                columns: Self.columns(of: descriptor), wantedWidth: wantedWidth, wantsColour: wantsColour, environment: environment)
        }
        self.isSilent = isSilent
        output = traits(STDOUT_FILENO)
        messages = traits(STDERR_FILENO)
    }

    /// Data.
    func write(_ lines: [StyledText]) { Self.write(output.render(lines), to: STDOUT_FILENO) }
    func write(_ bytes: [UInt8]) { Self.write(bytes, to: STDOUT_FILENO) }

    /// Data that takes the place of what was written so the last time.
    func rewrite(_ lines: [StyledText]) {
        liveData.withLock { live in
            let update = ProgressUpdate(settled: [], live: lines)
            Self.write(live.replace(with: update, on: output, width: max(1, output.width ?? 80)), to: STDOUT_FILENO)
        }
    }

    /// Chatter.
    func tell(_ lines: [StyledText]) { show(ProgressUpdate(settled: lines, live: [])) }
    func tell(_ line: StyledText) { tell([line]) }

    /// Progress: writes over the lines that were live, settles some, and shows those that are live now.
    func show(_ update: ProgressUpdate) {
        guard !isSilent else { return }
        let width = max(1, progressWidth ?? 80)
        // Written under the lock: lines of two threads don't mix.
        liveLines.withLock { Self.write($0.replace(with: update, on: messages, width: width), to: STDERR_FILENO) }
    }

    /// Whether a person can be asked.
    var isInteractive: Bool { isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1 && !isSilent }

    /// Whether the answer is yes; anything else, and the end of the input, is no.
    func ask(_ question: String) -> Bool {
        Self.write(question, to: STDERR_FILENO)
        let answer = readLine()?.trimmingCharacters(in: .whitespaces).lowercased()
        return answer == "y" || answer == "yes"
    }

    /// Columns for lines that may be written over: the last one stays free, since a full line may wrap.
    var progressWidth: Int? { messages.width.map { messages.isLive ? $0 - 1 : $0 } }

    /// The size of a terminal, as it is now.
    static func screen(_ descriptor: Int32) -> (columns: Int, rows: Int) {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return (80, 24) }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    /// The terminal's columns; nil for a pipe or a file.
    private static func columns(of descriptor: Int32) -> Int? {
        guard isatty(descriptor) == 1 else { return nil }
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    private static func write(_ text: String, to descriptor: Int32) { write(Array(text.utf8), to: descriptor) }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN {
                // The terminal of a shell whose other programs made it non-blocking.
                var question = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&question, 1, -1)
                continue
            }
            // The reader is gone: there is nobody left to tell.
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}

/// JSON for a script as it came; for a terminal with line breaks.
enum JSONOutput {
    static func write(_ bytes: [UInt8], to console: Console) {
        var text = bytes
        if console.output.isLive, let value = try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed),
            let pretty = try? JSONSerialization.data(
                withJSONObject: value, options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes, .fragmentsAllowed])
        {
            text = Array(pretty)
        }
        if text.last != UInt8(ascii: "\n") { text.append(UInt8(ascii: "\n")) }
        console.write(text)
    }
}
