import MeshAdminAPI
import Testing

@testable import MeshTerminal

@Suite struct TextTests {
    @Test(arguments: [
        ("abc", 3), ("", 0), ("注文", 4), ("e\u{301}", 1), ("🚚", 2), ("👩‍🔬", 2), ("🇩🇪", 2), ("❤️", 2), ("ｶﾅ", 2), ("カナ", 4), ("ä", 1), ("한국", 4),
    ])
    func width(text: String, columns: Int) {
        #expect(DisplayWidth.of(text) == columns)
    }

    @Test func truncationNeverCutsThroughACharacter() {
        let text = "ab注文👩‍🔬cd"
        #expect(DisplayWidth.truncate(text, to: 10) == text)
        #expect(DisplayWidth.truncate(text, to: 9) == "ab注文👩‍🔬…")
        #expect(DisplayWidth.truncate(text, to: 8) == "ab注文…")
        #expect(DisplayWidth.truncate(text, to: 4) == "ab…")
        #expect(DisplayWidth.truncate(text, to: 1) == "…")
        #expect(DisplayWidth.truncate(text, to: 0) == "")
        for width in 0...12 { #expect(DisplayWidth.of(DisplayWidth.truncate(text, to: width)) <= width) }
    }

    @Test func nothingThatIsPrintedCanCommandTheTerminal() {
        #expect(DisplayWidth.printable("a\u{1b}[31mred\u{7}\r\nb\tc\u{9b}2J\u{202e}x") == "a·[31mred···b c·2J·x")
        #expect(DisplayWidth.printable("注文 é") == "注文 é")
    }

    @Test func styledTextIsCutAndFilledByWidth() {
        let text = StyledText("ab", .red) + StyledText("cd", .bold) + "ef"
        #expect(text.width == 6)
        #expect(text.truncated(to: 6) == text)
        #expect(text.truncated(to: 5).plain == "abcd…")
        #expect(text.truncated(to: 4).plain == "abc…")
        #expect(text.truncated(to: 2).plain == "a…")
        #expect(text.padded(to: 8).plain == "abcdef  ")
        #expect(text.padded(to: 8, alignment: .trailing).plain == "  abcdef")
        #expect(text.rendered(hasColour: true) == "\u{1b}[31mab\u{1b}[0m\u{1b}[1mcd\u{1b}[0mef")
        #expect(text.padded(to: 9).rendered(hasColour: false) == "abcdef")
    }

    @Test func coloursAreOnlyForATerminalThatWantsThem() {
        func traits(columns: Int? = 80, wanted: Int? = nil, colour: Bool = true, _ environment: [String: String] = [:]) -> TerminalTraits {
            TerminalTraits(columns: columns, wantedWidth: wanted, wantsColour: colour, environment: environment)
        }
        #expect(traits() == TerminalTraits(width: 80, hasColour: true, isLive: true))
        #expect(traits(columns: nil) == TerminalTraits(width: nil, hasColour: false, isLive: false))
        #expect(!traits(["NO_COLOR": "1"]).hasColour)
        #expect(traits(["NO_COLOR": ""]).hasColour)
        #expect(!traits(colour: false).hasColour)
        #expect(traits(["TERM": "dumb"]) == TerminalTraits(width: 80, hasColour: false, isLive: false))
        #expect(traits(columns: nil, wanted: 100).width == 100)
    }

    @Test(arguments: [
        (0, "0ms"), (0.42, "0.4ms"), (9.94, "9.9ms"), (9.96, "10ms"), (362, "362ms"), (999.6, "1.0s"), (1_400, "1.4s"), (9_949, "9.9s"),
        (12_000, "12s"), (119_600, "2m 00s"), (185_000, "3m 05s"), (7_620_000, "2h 07m"),
    ])
    func durations(milliseconds: Double, text: String) {
        #expect(Quantities.duration(milliseconds: milliseconds) == text)
    }

    @Test(arguments: [(0, "0"), (812, "812"), (2_048, "2K"), (38 << 20, "38M"), (1_536 << 20, "1.5G"), (5 << 40, "5.0T")])
    func bytes(count: Int, text: String) {
        #expect(Quantities.bytes(count) == text)
    }

    @Test func numbers() {
        #expect(Quantities.decimal(-0.04, 1) == "0.0")
        #expect(Quantities.decimal(-1.25, 1) == "-1.3")
        #expect(Quantities.decimal(.infinity, 1) == "-")
        #expect(Quantities.percent(0.86) == "86%")
        #expect(Quantities.percent(0.004) == "<1%")
        #expect(Quantities.percent(0) == "0%")
        #expect(Quantities.count(1, "span") == "1 span")
    }

    @Test func timesAreOfTheReadersZone() {
        #expect(Quantities.clock(Example.noon, now: Example.noon, offset: 7_200) == "14:04:09")
        #expect(Quantities.clock(Example.noon, now: Example.noon, offset: -13 * 3_600) == "23:04:09")
        #expect(Quantities.preciseClock(Example.noon, offset: 0) == "12:04:09.120")
    }

    @Test func logLinesStandInColumns() {
        var text = LogText(offset: 0)
        func line(_ service: String, _ said: String, _ stream: LogLine.Stream = .out) -> StyledText {
            text.line(LogLine(time: Example.noon, service: service, instance: service + "-1", stream: stream, text: said))
        }
        #expect(line("crm", "up").plain == "12:04:09.120 crm-1 up")
        #expect(line("inventory", "a\u{1b}b").plain == "12:04:09.120 inventory-1 a·b")
        #expect(line("crm", "bad", .error).plain == "12:04:09.120 crm-1       bad")
        #expect(line("crm", "x").runs[1].style != line("inventory", "x").runs[1].style)
    }

    @Test(arguments: [
        (#"{"level":"error","message":"cannot reserve","sku":"A1","n":2,"time":"now"}"#, "error cannot reserve n=2 sku=A1"),
        (#"{"msg":"up","severity":"info","at":{"b":1,"a":[true,null]}}"#, "info up at={a:[true,null],b:1}"),
        (#"{"event":"a\u001bb"}"#, "a·b"),
        (#"{"no":"message"}"#, #"{"no":"message"}"#),
    ])
    func linesOfJSONAreShownByWhatTheySay(text: String, shown: String) throws {
        let fields = try AdminJSON.decode([String: JSONField].self, from: Array(text.utf8))
        var log = LogText(offset: 0)
        let line = log.line(LogLine(time: Example.noon, service: "crm", instance: "crm-1", text: text, fields: fields))
        #expect(line.plain == "12:04:09.120 crm-1 " + shown)
    }

    @Test func phasesWithoutALengthAreLeftOut() {
        #expect(
            PhaseText.line([("dns", 0), ("connect", 0.21), ("tls", 0), ("first byte", 361.2), ("total", 362.4)], width: nil).plain
                == "connect 0.2 · first byte 361 · total 362 ms")
        #expect(PhaseText.line([("total", 0)], width: nil).plain == "total 0.0 ms")
    }
}
