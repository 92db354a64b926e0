import ArgumentParser
import MeshAdminAPI
import MeshTerminal

struct FaultCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fault", abstract: "Make trouble on an edge on purpose: a delay, an answer, a reset, for a share and a time.",
        discussion: """
            It takes the way of every real failure: breakers, retries and budgets see it, and traces mark it (mesh.fault). It ends by \
            itself. Without arguments, the faults that there are.

            Example:
              mesh fault orders inventory --delay 300ms --share 20% --for 1m
              mesh fault orders ledger --abort 503
              mesh fault orders ledger --off
              mesh fault --off
            """)

    @Argument(help: "The service that calls; 'gateway' for the way in.")
    var from: String?

    @Argument(help: "The service that is called.")
    var to: String?

    @Option(help: ArgumentHelp("Wait before each attempt: 300ms, 2s.", valueName: "time"))
    var delay: DurationArgument?

    @Option(help: ArgumentHelp("Answer attempts with this status, 400 to 599.", valueName: "status"))
    var abort: Int?

    @Flag(help: "Fail attempts as if the connection had been reset.")
    var reset = false

    @Option(help: ArgumentHelp("Of how many attempts: 20% or 0.2.", valueName: "share"))
    var share = ShareArgument(share: 1)

    @Option(name: .customLong("for"), help: ArgumentHelp("For how long: 30s, 5m.", valueName: "time"))
    var lasts = DurationArgument(milliseconds: 60_000)

    @Flag(help: "End the fault on this edge, or all of them.")
    var off = false

    @Flag(help: "The faults that there are then, as JSON (docs/cli.md).")
    var json = false

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    func validate() throws {
        let makes = delay != nil || abort != nil || reset
        if from != nil, to == nil { throw ValidationError("An edge has two ends: mesh fault FROM TO.") }
        if makes, from == nil { throw ValidationError("Where? mesh fault FROM TO …") }
        if off, makes { throw ValidationError("--off ends a fault; it takes no --delay, --abort or --reset.") }
        if from != nil, !makes, !off { throw ValidationError("What? --delay, --abort or --reset; or --off to end a fault.") }
        if abort != nil, reset { throw ValidationError("--abort answers and --reset does not: take one of them.") }
        if let abort, !(400...599).contains(abort) { throw ValidationError("--abort takes a status from 400 to 599.") }
    }

    func run() throws {
        let console = outputOptions.console
        let location = try MeshLocation.find(file: mesh.file)
        try location.withDaemon { daemon in
            let bytes: [UInt8]
            if let from, let to, !off {
                let request = FaultRequest(
                    from: from, to: to, delayMS: delay?.milliseconds, abort: abort, reset: reset, share: share.share,
                    forSeconds: lasts.milliseconds / 1000)
                bytes = try daemon.send("POST", AdminAPI.Path.faults, body: AdminJSON.encode(request))
            } else if off {
                bytes = try daemon.send(
                    "DELETE", AdminAPI.Path.faults, query: from.flatMap { from in to.map { [("from", from), ("to", $0)] } } ?? [])
            } else {
                bytes = try daemon.get(AdminAPI.Path.faults)
            }
            guard !json else { return JSONOutput.write(bytes, to: console) }
            let faults = try AdminJSON.decode([FaultStatus].self, from: bytes)
            guard !faults.isEmpty else { return console.tell(StyledText("no faults")) }
            console.write(EdgeTable.lines(faults, now: .now, width: console.output.width))
        }
    }
}

/// `300ms`, `2s`, `5m`.
struct DurationArgument: ExpressibleByArgument, Hashable, CustomStringConvertible {
    var milliseconds: Double

    init(milliseconds: Double) { self.milliseconds = milliseconds }

    init?(argument: String) {
        let units: [(String, Double)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
        for (unit, factor) in units where argument.hasSuffix(unit) {
            guard let number = Double(argument.dropLast(unit.count)), number > 0, number.isFinite, number * factor <= 86_400_000 else {
                return nil
            }
            milliseconds = number * factor
            return
        }
        return nil
    }

    var description: String { Quantities.duration(milliseconds: milliseconds) }
}

/// `20%`, `0.2`.
struct ShareArgument: ExpressibleByArgument, Hashable, CustomStringConvertible {
    var share: Double

    init(share: Double) { self.share = share }

    init?(argument: String) {
        let isPercentage = argument.hasSuffix("%")
        guard let number = Double(isPercentage ? String(argument.dropLast()) : argument) else { return nil }
        share = isPercentage ? number / 100 : number
        guard share > 0, share <= 1 else { return nil }
    }

    var description: String { Quantities.percent(share) }
}
