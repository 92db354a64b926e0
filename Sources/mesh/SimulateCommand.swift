import ArgumentParser
import MeshAdminAPI
import MeshConfiguration
import MeshExchange
import MeshModel
import MeshPolicy
import MeshSimulation
import MeshTerminal

struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate", abstract: "Say what a mesh.yaml would do under a load and a failure, without starting anything.",
        discussion: """
            Virtual time, and the same engine that carries calls in production: retries, budgets, credit, breakers, balancing, limits. \
            Each service works for 5ms per request on average (--work), on as many requests at once as come (--workers bounds that), and \
            then calls every service of its calls:, one after the other, with the method of the request. Equal seeds give equal runs.

            A failure is status:N, reset, refuse or hang; of all attempts that arrive, or of a share; for the whole run, or for a span of it.

            Example:
              mesh simulate --fail ledger=503:100% --rate 200/s --for 30s
              mesh simulate --fail inventory=hang:20%@10s-20s --slow crm=300ms:20%
              mesh simulate --workers inventory=4 --rate 3000/s --against candidate.yaml
            """)

    @Option(help: ArgumentHelp("SERVICE=503|reset|refuse|hang[:SHARE][@FROM-UNTIL]; several times.", valueName: "failure"))
    var fail: [TroubleArgument] = []

    @Option(help: ArgumentHelp("SERVICE=TIME[:SHARE][@FROM-UNTIL], beside its work; several times.", valueName: "delay"))
    var slow: [DelayArgument] = []

    @Option(help: ArgumentHelp("SERVICE=TIME: what it works for each request, on average.", valueName: "time"))
    var work: [WorkArgument] = []

    @Option(help: ArgumentHelp("SERVICE=N: how many requests each instance can work on at once.", valueName: "number"))
    var workers: [WorkersArgument] = []

    @Option(help: ArgumentHelp("Requests of clients per second: 200/s or 200.", valueName: "rate"))
    var rate = RateArgument(perSecond: 100)

    @Option(name: .customLong("for"), help: ArgumentHelp("How long clients send: 30s, 5m.", valueName: "time"))
    var duration = DurationArgument(milliseconds: 30_000)

    @Option(help: "What all chance is drawn from.")
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("The route that is asked for, as it stands in mesh.yaml; else all of them alike.", valueName: "route"))
    var route: String?

    @Option(help: "The method of all requests.")
    var method = "GET"

    @Option(help: ArgumentHelp("Run a second file alike, and compare.", valueName: "file"), completion: .file(extensions: ["yaml", "yml"]))
    var against: String?

    @Flag(help: "As JSON (docs/cli.md).")
    var json = false

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    func validate() throws {
        if MethodSet(named: method.uppercased()).isEmpty {
            throw ValidationError("--method takes GET, HEAD, OPTIONS, PUT, DELETE, POST, PATCH or TRACE.")
        }
        if rate.perSecond * duration.milliseconds / 1000 > 5_000_000 {
            throw ValidationError("that is more than 5 million requests: lower --rate or --for.")
        }
    }

    func run() throws {
        let console = outputOptions.console
        let files = [MeshLocation.file(named: mesh.file)] + (against.map { [$0] } ?? [])
        let results = try files.map { try simulate($0, console) }
        if json {
            let bytes = results.count == 1 ? try AdminJSON.encode(results[0]) : try AdminJSON.encode(results)
            return JSONOutput.write(bytes, to: console)
        }
        let width = console.output.width
        console.write(
            results.count == 1
                ? SimulationText.lines(results[0], width: width) : SimulationText.comparison(results[0], results[1], width: width))
    }

    private func simulate(_ file: String, _ console: Console) throws -> SimulationResult {
        let (document, findings) = MeshDocument.load(path: file, environment: UnbuiltEnvironment())
        guard let document else {
            console.write(findings.flatMap(FindingText.lines))
            console.tell(FindingText.summary(findings, file: file))
            throw AlreadyTold()
        }
        let plan = SimulationPlan(
            troubles: fail.map(\.trouble) + slow.map(\.trouble), work: Dictionary(work.map { ($0.service, $0.time) }) { $1 },
            workers: Dictionary(workers.map { ($0.service, $0.count) }) { $1 }, perSecond: rate.perSecond,
            lasts: .milliseconds(Int64(duration.milliseconds)), route: route, method: MethodSet(named: method.uppercased()))
        let topology: Topology
        do {
            topology = try plan.topology(of: document)
        } catch {
            throw CommandFailure(error.description, hint: error.hint)
        }
        do {
            return SimulationResult(
                try TopologySimulation.run(topology, seed: seed), of: topology, file: file, seed: seed)
        } catch {
            throw CommandFailure("\(error)", hint: "mesh check")
        }
    }
}

extension SimulationResult {
    init(_ report: TopologyReport, of topology: Topology, file: String, seed: UInt64) {
        func milliseconds(_ histogram: LatencyHistogram, _ share: Double) -> Double? {
            histogram.quantile(share).map { Double($0.nanoseconds) / 1e6 }
        }
        func share(_ part: Int, _ whole: Int) -> Double { whole == 0 ? 0 : Double(part) / Double(whole) }
        self.init(
            file: file, seed: seed, seconds: topology.load.lasts.seconds, rate: topology.load.perSecond, requests: report.clients.sent,
            okRatio: report.successShare, p50MS: milliseconds(report.latencies, 0.5), p99MS: milliseconds(report.latencies, 0.99),
            services: topology.services.dropFirst().map { service in
                let arrivals = report.arrivals[service.name] ?? 0
                return Service(
                    service: service.name, tier: service.configuration.tier, arrivals: arrivals,
                    amplification: report.amplification(of: service.name), shedRatio: share(report.shed[service.name] ?? 0, arrivals))
            },
            edges: report.edges.sorted { $0.key < $1.key }.map { edge, counts in
                Edge(
                    from: edge.from, to: edge.to, calls: counts.calls, tries: share(counts.attempts, counts.calls),
                    okRatio: 1 - share(counts.failed, counts.calls), p50MS: milliseconds(counts.latencies, 0.5),
                    p99MS: milliseconds(counts.latencies, 0.99),
                    refused: Dictionary(counts.refused.map { ($0.key.description, $0.value) }, uniquingKeysWith: +))
            },
            first: report.events.map { First(at: $0.at.seconds, from: $0.edge.from, to: $0.edge.to, what: $0.what) })
    }
}
