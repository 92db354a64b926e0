import ArgumentParser
import Foundation
import MeshAdminAPI
import MeshTerminal

struct TracesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "traces", abstract: "List and show traces: where the time of a request went.",
        discussion: """
            Example:
              mesh traces list
              mesh traces show last
            """,
        subcommands: [List.self, Show.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The newest traces, one per line.",
            discussion: """
                A query is made of route, service, tier, flag, id, time, status and attempts, each with ':' or a comparison, joined by \
                space (and), 'or', 'not' and parentheses.

                Example:
                  mesh traces list 'time>300ms' --since 10m
                  mesh traces list 'route:"POST /orders" (status>=500 or attempts>1)'
                  mesh traces list --limit 50
                  mesh traces list --json | jq '.[] | select(.status >= 500) | .trace_id'
                """)

        @Argument(help: ArgumentHelp("Which traces; all, unless given.", valueName: "query"))
        var query: [String] = []

        @Option(help: "Only those that began within this time: 30s, 10m, 2h, 1d.")
        var since: TimeBack?

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
                var parameters = [("limit", String(limit))]
                if !query.isEmpty { parameters.append(("q", query.joined(separator: " "))) }
                if let since { parameters.append(("since", String(since.seconds))) }
                let bytes = try daemon.get(AdminAPI.Path.traces, query: parameters)
                guard !json else { return JSONOutput.write(bytes, to: console) }
                let traces = try AdminJSON.decode([TraceSummary].self, from: bytes)
                guard !traces.isEmpty || parameters.count == 1 else {
                    console.tell(StyledText("no trace matches") + StyledText("   next: mesh traces list\(location.selector)", .cyan))
                    return
                }
                guard !traces.isEmpty else {
                    console.tell(StyledText("no traces yet") + StyledText("   next: mesh call GET /\(location.selector)", .cyan))
                    return
                }
                console.write(
                    TraceTable.lines(traces, now: .now, offset: LocalTime.offset, width: console.output.width))
            }
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "One trace as bars over time.",
            discussion: """
                Times are milliseconds. A call is shown by its attempts (inventory#1, inventory#2), ▓ failed, · waited before a retry; \
                'self' is a service's time without that of what it called, 'mesh + wire' what lies between caller and called.

                Example:
                  mesh traces show 8f3ac1
                  mesh traces show last --json
                """)

        @Argument(help: ArgumentHelp("The trace's id, a unique beginning of it, or 'last'.", valueName: "id"))
        var id: String

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
                let bytes = try daemon.get(AdminAPI.Path.traces + "/" + id.lowercased())
                guard !json else { return JSONOutput.write(bytes, to: console) }
                console.write(Waterfall.lines(try AdminJSON.decode(TraceDetail.self, from: bytes), width: console.output.width))
            }
        }
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
