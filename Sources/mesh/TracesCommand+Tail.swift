import ArgumentParser
import Curl
import Foundation
import MeshAdminAPI
import MeshModel
import MeshTerminal

extension TracesCommand {
    struct Tail: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Traces as they come, each as soon as it is whole.",
            discussion: """
                Ends with Ctrl-C. A daemon that is restarted is waited for. Where more traces come than can be shown, the rest is counted.

                Example:
                  mesh traces tail
                  mesh traces tail 'status>=500 or attempts>1 or slower:p99'
                  mesh traces tail --json | jq -c 'select(.duration_ms > 300)'
                """)

        @Argument(help: ArgumentHelp("Which traces ('mesh traces --help'); all, unless given.", valueName: "query"))
        var query: [String] = []

        @Flag(help: "One JSON object per line, as in 'list --json'; {\"dropped\": n} where some were not shown.")
        var json = false

        @OptionGroup var mesh: FileOption
        @OptionGroup var outputOptions: OutputOptions

        /// How often a daemon that is gone is looked for.
        private static let lookEvery = 0.5

        func run() throws {
            let console = outputOptions.console
            let location = try MeshLocation.find(file: mesh.file)
            let signals = SignalWatch()
            let cancellation = CurlCancellation()
            signals.onSignal { _ in cancellation.cancel() }
            let counts = Guarded((shown: 0, dropped: 0))
            var wasThere = false
            var isMissed = false
            while !cancellation.isCancelled {
                do {
                    try follow(DaemonClient(location), console, cancellation) { event in
                        if isMissed { console.tell("the daemon is back") }
                        (wasThere, isMissed) = (true, false)
                        counts.withLock { counts in
                            counts.shown += event.trace == nil ? 0 : 1
                            counts.dropped += event.dropped ?? 0
                        }
                    }
                    // The daemon ended the stream by itself.
                } catch is DaemonAbsent where !wasThere {
                    throw CommandFailure("mesh \(location.name) is not running", hint: "mesh up -d\(location.selector)")
                } catch is DaemonAbsent {
                } catch is DaemonLost {
                } catch let error as CurlError where error.kind == .cancelled {
                }
                guard !cancellation.isCancelled else { break }
                if wasThere, !isMissed {
                    console.tell(
                        StyledText("the daemon is gone; waiting for it", .yellow)
                            + StyledText("   next: mesh up -d\(location.selector)", .cyan))
                    isMissed = true
                }
                _ = signals.wait(seconds: Self.lookEvery)
            }
            let (shown, dropped) = counts.withLock { $0 }
            let rest = dropped > 0 ? ", \(Quantities.grouped(dropped)) not shown: too many at once" : ""
            console.tell(StyledText("\(Quantities.count(shown, "trace")) shown" + rest))
        }

        private func follow(
            _ daemon: DaemonClient, _ console: Console, _ cancellation: CurlCancellation, _ count: @escaping (TraceTailEvent) -> Void
        ) throws {
            let json = json
            try daemon.lines(
                TraceTailEvent.self, "GET", AdminAPI.Path.traceTail, query: query.isEmpty ? [] : [("q", query.joined(separator: " "))],
                cancellation: cancellation
            ) { event, _ in
                count(event)
                if let trace = event.trace {
                    if json {
                        console.write((try? AdminJSON.line(trace)) ?? [])
                    } else {
                        console.write([TraceTable.tailLine(trace, now: .now, offset: LocalTime.offset, width: console.output.width)])
                    }
                } else if let dropped = event.dropped {
                    if json {
                        console.write((try? AdminJSON.line(event)) ?? [])
                    } else {
                        console.tell(
                            StyledText(
                                "\(Quantities.grouped(dropped)) not shown: more come than can be followed; a query narrows it", .yellow))
                    }
                }
                return .goOn
            }
        }
    }
}
