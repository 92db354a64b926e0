import ArgumentParser
import Foundation
import MeshAdminAPI
import MeshTerminal

struct TracesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "traces", abstract: "Traces: where the time of requests went.",
        discussion: """
            A query names what traces have to meet, joined by space (and), 'or', 'not' and parentheses:
              route:"POST /orders"  time>300ms  slower:p99  status>=500  status:5xx  attempts>1  errors>0  spans>50
              service:ledger  tier:enterprise  version:v2  flag:UT  breaker:open  id:8f3a
              self>50ms  attr.order_id:42  (of one span; with service:, tier: or version: beside it, of a span there)
            and may end in what to measure of groups:  | by version p50,p99

            Example:
              mesh traces list 'time>300ms' --since 10m
              mesh traces show last
              mesh traces path 'route:"POST /orders"' --since 1h
              mesh traces tail 'status>=500 or attempts>1'
            """,
        subcommands: [
            List.self, Search.self, Show.self, Tail.self, Compare.self, Stats.self, Path.self, Export.self, Import.self,
        ])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The newest traces, one per line.",
            discussion: """
                'mesh traces --help' shows what a query is made of.

                Example:
                  mesh traces list 'time>300ms' --since 10m
                  mesh traces list 'route:"POST /orders" (status>=500 or attempts>1)'
                  mesh traces list 'service:catalog | by version p50,p99,errors'
                  mesh traces list --json | jq '.[] | select(.status >= 500) | .trace_id'
                """)

        @OptionGroup var which: TraceChoice

        @Option(help: "How many at most.")
        var limit = 20

        @Flag(help: "As JSON (docs/cli.md).")
        var json = false

        @OptionGroup var mesh: FileOption
        @OptionGroup var outputOptions: OutputOptions

        mutating func validate() throws {
            if limit < 1 { throw ValidationError("--limit must be at least 1.") }
        }

        func run() throws {
            let console = outputOptions.console
            let location = try MeshLocation.find(file: mesh.file)
            try location.withDaemon { daemon in
                guard !which.isGrouped else {
                    return try Stats.show(which, daemon, console, json: json)
                }
                let bytes = try daemon.get(
                    AdminAPI.Path.traces, query: which.parameters + [("limit", String(limit))], timeout: TraceChoice.patience)
                guard !json else { return JSONOutput.write(bytes, to: console) }
                let traces = try AdminJSON.decode([TraceSummary].self, from: bytes)
                guard !traces.isEmpty else { return which.tellOfNone(console, location) }
                console.write(TraceTable.lines(traces, now: .now, offset: LocalTime.offset, width: console.output.width))
            }
        }
    }

    struct Search: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The spans that a query is about, newest trace first.",
            discussion: """
                As 'list', with the spans that met the conditions on spans (self, attr.NAME).

                Example:
                  mesh traces search 'service:ledger self>50ms'
                  mesh traces search attr.order_id:42
                  mesh traces search 'attr.http.response.status_code>=500 tier:enterprise' --since 1h
                """)

        @OptionGroup var which: TraceChoice

        @Option(help: "How many traces at most.")
        var limit = 20

        @Flag(help: "As JSON: as 'list', each with 'matched'.")
        var json = false

        @OptionGroup var mesh: FileOption
        @OptionGroup var outputOptions: OutputOptions

        mutating func validate() throws {
            if limit < 1 { throw ValidationError("--limit must be at least 1.") }
            if which.query.isEmpty {
                throw ValidationError("What to search for? For instance: mesh traces search 'service:ledger self>50ms'")
            }
        }

        func run() throws {
            let console = outputOptions.console
            let location = try MeshLocation.find(file: mesh.file)
            try location.withDaemon { daemon in
                let bytes = try daemon.get(
                    AdminAPI.Path.traceSearch, query: which.parameters + [("limit", String(limit))], timeout: TraceChoice.patience)
                guard !json else { return JSONOutput.write(bytes, to: console) }
                let traces = try AdminJSON.decode([TraceSummary].self, from: bytes)
                guard !traces.isEmpty else { return which.tellOfNone(console, location) }
                let hasSpans = traces.contains { $0.matched?.isEmpty == false }
                console.write(
                    hasSpans
                        ? TraceTable.searchLines(traces, now: .now, offset: LocalTime.offset, width: console.output.width)
                        : TraceTable.lines(traces, now: .now, offset: LocalTime.offset, width: console.output.width))
            }
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "One trace as bars over time.",
            discussion: """
                Times are milliseconds. A call is shown by its attempts (inventory#1, inventory#2): █ what the answer waited for, ▒ what \
                nothing waited for, ▓ failed, · waited before a retry; 'self' is a service's time without that of what it called, \
                'mesh + wire' what lies between caller and called. docs/critical-path.md says how it is found.

                Example:
                  mesh traces show 8f3ac1
                  mesh traces show last --json
                  mesh traces show 8f3ac1 --all --width 200
                """)

        @Argument(help: ArgumentHelp("The trace's id, a unique beginning of it, or 'last'.", valueName: "id"))
        var id: String

        @Flag(help: "All spans, also where a long trace repeats itself.")
        var all = false

        @Flag(help: "Place the spans of other hosts where the hops say that they belong, and not where their clocks said.")
        var deskew = false

        @Flag(help: "As JSON (docs/cli.md).")
        var json = false

        @OptionGroup var mesh: FileOption
        @OptionGroup var outputOptions: OutputOptions

        mutating func validate() throws {
            let isID = !id.isEmpty && id.count <= 32 && id.allSatisfy { $0.isASCII && $0.isHexDigit }
            if id != "last", !isID { throw ValidationError("'\(id)' is no trace id: up to 32 digits 0-9 a-f, or 'last'.") }
        }

        func run() throws {
            let console = outputOptions.console
            try MeshLocation.find(file: mesh.file).withDaemon { daemon in
                let bytes = try daemon.get(
                    AdminAPI.Path.traces + "/" + id.lowercased(), query: deskew ? [("deskew", "true")] : [], timeout: TraceChoice.patience)
                guard !json else { return JSONOutput.write(bytes, to: console) }
                console.write(
                    Waterfall.lines(try AdminJSON.decode(TraceDetail.self, from: bytes), width: console.output.width, showsAll: all))
            }
        }
    }
}

/// Which traces a command is about.
struct TraceChoice: ParsableArguments {
    /// What a question over very many traces may take.
    static let patience = Duration.seconds(120)

    @Argument(help: ArgumentHelp("Which traces ('mesh traces --help'); all, unless given.", valueName: "query"))
    var query: [String] = []

    @Option(help: "Only those that began within this time: 30s, 10m, 2h, 1d.")
    var since: TimeBack?

    var text: String { query.joined(separator: " ") }

    var parameters: [(String, String)] {
        (query.isEmpty ? [] : [("q", text)]) + (since.map { [("since", String($0.seconds))] } ?? [])
    }

    /// Whether it ends in `| by ...`.
    var isGrouped: Bool { TraceQueryText.isGrouped(text) }

    func tellOfNone(_ console: Console, _ location: MeshLocation) {
        let (what, next) =
            parameters.isEmpty
            ? ("no traces yet", "mesh call GET /\(location.selector)") : ("no trace matches", "mesh traces list\(location.selector)")
        console.tell(StyledText(what) + StyledText("   next: \(next)", .cyan))
    }
}

enum TraceQueryText {
    /// Whether there is a bar outside of quotes; the daemon says what is wrong with anything else.
    static func isGrouped(_ text: String) -> Bool {
        var quote: Character?
        var isEscaped = false
        for character in text {
            if isEscaped {
                isEscaped = false
            } else if let open = quote {
                if character == "\\" { isEscaped = true } else if character == open { quote = nil }
            } else if character == "\"" || character == "'" {
                quote = character
            } else if character == "|" {
                return true
            }
        }
        return false
    }
}

/// The reader's clock.
enum LocalTime {
    /// Seconds east of UTC.
    static var offset: Int64 { Int64(TimeZone.current.secondsFromGMT()) }
}

extension Timestamp {
    static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}
