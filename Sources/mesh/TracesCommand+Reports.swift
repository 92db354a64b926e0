import ArgumentParser
import Foundation
import MeshAdminAPI
import MeshTerminal

extension TracesCommand {
    struct Path: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Which tier and service makes the slow traces slow.",
            discussion: """
                Adds up the critical paths (docs/critical-path.md) of typical traces (p45 to p55 of the durations) and of slow ones (p99 \
                and above), and says where the difference sits.

                Example:
                  mesh traces path 'route:"POST /orders"' --since 1h
                  mesh traces path --json | jq '.lines | max_by(.change_ms)'
                """)

        @OptionGroup var which: TraceChoice

        @Flag(help: "As JSON (docs/cli.md).")
        var json = false

        @OptionGroup var mesh: FileOption
        @OptionGroup var outputOptions: OutputOptions

        func run() throws {
            let console = outputOptions.console
            let location = try MeshLocation.find(file: mesh.file)
            try location.withDaemon { daemon in
                let bytes = try daemon.get(AdminAPI.Path.tracePath, query: which.parameters, timeout: TraceChoice.patience)
                guard !json else { return JSONOutput.write(bytes, to: console) }
                let report = try AdminJSON.decode(TracePathReport.self, from: bytes)
                guard report.traces > 0 || report.leftOut != nil else { return which.tellOfNone(console, location) }
                console.write(TracePathTable.lines(report, width: console.output.width))
                console.tell(
                    TracePathTable.remarks(report).map { StyledText($0, .dim) } + leftOutLines(report.leftOut)
                        + problemLines(report.problems))
            }
        }
    }

    struct Compare: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What slow traces, or those of a query, have more often than others.",
            discussion: """
                Compares every attribute of every span, versions, instances, statuses, flags and retries: what is more frequent in the \
                first group than chance explains is listed, the largest difference first. Without --with, the slowest traces of the query \
                are compared with its typical ones.

                Example:
                  mesh traces compare 'route:"POST /orders"' --since 1h
                  mesh traces compare 'status>=500' --with 'status<500'
                """)

        @OptionGroup var which: TraceChoice

        @Option(name: .customLong("with"), help: ArgumentHelp("The second group.", valueName: "query"))
        var other: String?

        @Flag(help: "As JSON (docs/cli.md).")
        var json = false

        @OptionGroup var mesh: FileOption
        @OptionGroup var outputOptions: OutputOptions

        func run() throws {
            let console = outputOptions.console
            try MeshLocation.find(file: mesh.file).withDaemon { daemon in
                let parameters = which.parameters + (other.map { [("with", $0)] } ?? [])
                let bytes = try daemon.get(AdminAPI.Path.traceComparison, query: parameters, timeout: TraceChoice.patience)
                guard !json else { return JSONOutput.write(bytes, to: console) }
                let report = try AdminJSON.decode(TraceComparisonReport.self, from: bytes)
                console.write(TraceComparisonTable.lines(report, width: console.output.width))
                let sampled = report.sampled ? [StyledText("of each group a part, taken evenly, was looked at", .dim)] : []
                console.tell(sampled + leftOutLines(report.leftOut) + problemLines(report.problems))
            }
        }
    }

    struct Stats: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Traces by route in numbers, with the form of their durations.",
            discussion: """
                The bars are a histogram over durations that rise evenly in their logarithm, the same for all lines; its ends stand above. \
                '| by' in the query groups by something else and chooses the measures.

                Example:
                  mesh traces stats --since 1h
                  mesh traces stats 'service:catalog | by version p50,p99.9,max'
                """)

        @OptionGroup var which: TraceChoice

        @Flag(help: "As JSON (docs/cli.md).")
        var json = false

        @OptionGroup var mesh: FileOption
        @OptionGroup var outputOptions: OutputOptions

        func run() throws {
            let console = outputOptions.console
            let location = try MeshLocation.find(file: mesh.file)
            try location.withDaemon { daemon in try Self.show(which, daemon, console, json: json) }
        }

        static func show(_ which: TraceChoice, _ daemon: DaemonClient, _ console: Console, json: Bool) throws {
            let bytes = try daemon.get(AdminAPI.Path.traceStatistics, query: which.parameters, timeout: TraceChoice.patience)
            guard !json else { return JSONOutput.write(bytes, to: console) }
            let report = try AdminJSON.decode(TraceStatisticsReport.self, from: bytes)
            console.write(TraceStatisticsTable.lines(report, width: console.output.width))
            console.tell(leftOutLines(report.leftOut) + problemLines(report.problems))
        }
    }

    struct Export: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Traces as a file for another tool.",
            discussion: """
                otlp: OTLP JSON, which collectors and 'mesh traces import' take; jaeger: for the upload of Jaeger's UI; zipkin: Zipkin v2; \
                chrome: for chrome://tracing and ui.perfetto.dev.

                Example:
                  mesh traces export last > trace.json
                  mesh traces export 8f3ac1 --format chrome -o trace.json
                  mesh traces export --query 'status>=500' --since 1h --format jaeger
                """)

        enum Format: String, ExpressibleByArgument, CaseIterable { case otlp, jaeger, zipkin, chrome }

        @Argument(help: ArgumentHelp("Ids of traces, unique beginnings of them, or 'last'.", valueName: "id"))
        var ids: [String] = []

        @Option(help: "The form of the file.")
        var format = Format.otlp

        @Option(help: "The traces that match, too.")
        var query: String?

        @Option(help: "With --query: only those that began within this time.")
        var since: TimeBack?

        @Option(help: "With --query: how many at most.")
        var limit = 100

        @Option(name: .shortAndLong, help: "The file to write; standard output unless given.", completion: .file())
        var output: String?

        @OptionGroup var mesh: FileOption
        @OptionGroup var outputOptions: OutputOptions

        mutating func validate() throws {
            if ids.isEmpty, query == nil { throw ValidationError("Which traces? Name ids, 'last', or a --query.") }
            if limit < 1 { throw ValidationError("--limit must be at least 1.") }
        }

        func run() throws {
            let console = outputOptions.console
            try MeshLocation.find(file: mesh.file).withDaemon { daemon in
                var parameters = [("id", ids.joined(separator: ",").lowercased()), ("format", format.rawValue), ("limit", String(limit))]
                if let query { parameters.append(("q", query)) }
                if let since { parameters.append(("since", String(since.seconds))) }
                let bytes = try daemon.get(AdminAPI.Path.traceExport, query: parameters, timeout: TraceChoice.patience)
                guard let output else { return console.write(bytes + [UInt8(ascii: "\n")]) }
                do {
                    try Data(bytes).write(to: URL(fileURLWithPath: output))
                } catch {
                    throw CommandFailure("\(output) can't be written: \(error.localizedDescription)", hint: "name another file with -o")
                }
                console.tell(StyledText("wrote \(Quantities.bytes(bytes.count))B to \(output)"))
            }
        }
    }

    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take traces in from a file of OTLP JSON.",
            discussion: """
                What 'mesh traces export' wrote on another machine is shown here as there.

                Example:
                  mesh traces import trace.json && mesh traces show last
                """)

        @Argument(help: "The file; '-' is standard input.", completion: .file(extensions: ["json"]))
        var path: String

        @OptionGroup var mesh: FileOption
        @OptionGroup var outputOptions: OutputOptions

        func run() throws {
            let console = outputOptions.console
            let data: Data
            do {
                data = path == "-" ? try FileHandle.standardInput.readToEnd() ?? Data() : try Data(contentsOf: URL(fileURLWithPath: path))
            } catch {
                throw CommandFailure("\(path) can't be read: \(error.localizedDescription)", hint: "mesh traces export last -o trace.json")
            }
            let location = try MeshLocation.find(file: mesh.file)
            try location.withDaemon { daemon in
                let bytes = try daemon.send("POST", AdminAPI.Path.traceImport, body: Array(data), timeout: TraceChoice.patience)
                let report = try AdminJSON.decode(TraceImportReport.self, from: bytes)
                console.tell(
                    StyledText("\(Quantities.count(report.spans, "span")) of \(Quantities.count(report.traces.count, "trace"))")
                        + StyledText(
                            report.traces.first.map { "   next: mesh traces show \($0.prefix(8))\(location.selector)" } ?? "", .cyan))
            }
        }
    }
}

private func leftOutLines(_ leftOut: LeftOutReport?) -> [StyledText] {
    (leftOut.map { LeftOutText.remarks($0) } ?? []).map { StyledText($0, .dim) }
}

/// Files that could not be read.
private func problemLines(_ problems: [String]) -> [StyledText] {
    problems.map { StyledText("warning: ", .yellow) + StyledText("not read: " + DisplayWidth.printable($0)) }
}
