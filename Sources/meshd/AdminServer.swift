import Foundation
import HTTPTypes
import Hummingbird
import Logging
import MeshAdminAPI
import MeshModel
import MeshTelemetry
import NIOCore
import ServiceLifecycle

/// The admin API over the control socket: translates requests into questions to the daemon, and decides nothing itself.
struct AdminServer {
    let daemon: Daemon
    let path: String
    let logger: Logger

    /// How long answers that are under way may take once nothing more is served.
    private static let drainWithin = Duration.seconds(2)

    /// Serves until the task is cancelled, and finishes what is being answered then.
    ///
    /// - Parameter whenListening: called once the socket takes connections.
    func run(whenListening: @escaping @Sendable () -> Void) async throws {
        let path = path
        let application = Application(
            router: routes(),
            configuration: ApplicationConfiguration(address: .unixDomainSocket(path: path), serverName: "meshd"),
            onServerRunning: { _ in
                chmod(path, 0o600)
                whenListening()
            },
            logger: logger)
        var configuration = ServiceGroupConfiguration(services: [application], logger: logger)
        configuration.maximumGracefulShutdownDuration = Self.drainWithin
        let group = ServiceGroup(configuration: configuration)
        // A task of its own: cancelled itself, the server would cut its connections and log that as its error.
        let serving = Task { try await group.run() }
        try await withTaskCancellationHandler {
            try await serving.value
        } onCancel: {
            Task { await group.triggerGracefulShutdown() }
        }
    }

    private func routes() -> Router<BasicRequestContext> {
        let router = Router()
        router.add(middleware: ProblemAnswers())
        let daemon = daemon
        router.get("/v1/status") { _, _ in try json(await daemon.status()) }
        router.get("/v1/instances") { _, _ in try json(await daemon.instances()) }
        router.get("/v1/top") { _, _ in try json(await daemon.top()) }
        router.get("/v1/statistics") { _, _ in try json(await daemon.statistics()) }
        router.get("/v1/edges") { _, _ in try json(await daemon.edges()) }
        router.get("/v1/edges/:from/:to") { _, context in
            try json(await daemon.explain(from: context.parameters.require("from"), to: context.parameters.require("to")))
        }
        router.get("/v1/services") { _, _ in try json(await daemon.signals()) }
        router.get("/v1/faults") { _, _ in try json(await daemon.faults()) }
        router.post("/v1/faults") { request, _ in
            try json(await daemon.order(order(in: request)))
        }
        router.delete("/v1/faults") { request, _ in
            let parameters = request.uri.queryParameters
            return try json(await daemon.endFault(from: parameters["from"].map(String.init), to: parameters["to"].map(String.init)))
        }
        router.get("/v1/metrics") { _, _ in await metricsAnswer(daemon) }
        router.post("/v1/up") { request, _ in
            lines(of: try await daemon.up(order(in: request)), whenSent: { await daemon.endIfEmpty() })
        }
        router.post("/v1/plan") { request, _ in
            try json(await daemon.plan(order(in: request)))
        }
        router.post("/v1/changes") { request, _ in
            lines(of: try await daemon.change(order(in: request)))
        }
        router.post("/v1/down") { request, _ in
            lines(of: await daemon.down(now: request.uri.queryParameters["now"] == "true"), whenSent: { await daemon.endIfEmpty() })
        }
        router.get("/v1/logs") { request, _ in
            let parameters = request.uri.queryParameters
            let query = try LogQuery(
                service: parameters["service"].map(String.init), instance: parameters["instance"].map(String.init),
                lines: parameters["lines"].map(String.init), follow: parameters["follow"].map(String.init),
                since: parameters["since"].map(String.init),
                trace: parameters["trace"].map(String.init), lastCrash: parameters["crash"].map(String.init))
            // One who follows would hold up the end of the daemon.
            return lines(of: try await daemon.logs(query).cancelOnGracefulShutdown())
        }
        addTraces(to: router)
        return router
    }
}

func metricsAnswer(_ daemon: Daemon) async -> Response {
    Response(
        status: .ok, headers: [.contentType: PrometheusText.contentType],
        body: ResponseBody(byteBuffer: ByteBuffer(string: await daemon.metrics())))
}

extension AdminServer {
    private func addTraces(to router: Router<BasicRequestContext>) {
        let traces = daemon.traces
        router.get("/v1/traces") { request, _ in
            let asked = try TraceParameters(request)
            return try json(await traces.list(matching: asked.query, limit: asked.limit ?? 20, since: asked.since))
        }
        router.get("/v1/traces/search") { request, _ in
            let asked = try TraceParameters(request)
            return try json(await traces.search(matching: asked.query, limit: asked.limit ?? 20, since: asked.since))
        }
        router.get("/v1/traces/stats") { request, _ in
            let asked = try TraceParameters(request)
            return try json(await traces.statistics(matching: asked.query, since: asked.since))
        }
        router.get("/v1/traces/path") { request, _ in
            let asked = try TraceParameters(request)
            return try json(await traces.path(matching: asked.query, since: asked.since))
        }
        router.get("/v1/traces/compare") { request, _ in
            let asked = try TraceParameters(request)
            return try json(await traces.compare(matching: asked.query, with: asked["with"], since: asked.since))
        }
        router.get("/v1/traces/tail") { request, _ in lines(of: try traces.tail(matching: TraceParameters(request).query)) }
        router.get("/v1/traces/export") { request, _ in
            let asked = try TraceParameters(request)
            let bytes = try await traces.export(
                (asked["id"] ?? "").split(separator: ",").map(String.init), matching: asked["q"], since: asked.since,
                limit: asked.limit ?? 100, as: asked["format"] ?? "otlp")
            return Response(
                status: .ok, headers: [.contentType: AdminAPI.jsonType], body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
        }
        router.post("/v1/traces/import") { request, _ in
            let bytes = try await request.body.collect(upTo: 64 << 20)
            return try json(await traces.take(Array(bytes.readableBytesView)))
        }
        router.get("/v1/traces/:id") { request, context in
            let detail = try await traces.show(
                try context.parameters.require("id"), isDeskewed: TraceParameters(request)["deskew"] == "true")
            let sources = await daemon.logSources(of: Set(detail.spans.map(\.service)))
            return try json(await traces.joining(sources, to: detail))
        }
    }
}

/// What all questions about traces may say.
private struct TraceParameters {
    private let values: [String: String]
    let limit: Int?
    /// Only traces that began since then.
    let since: UnixTime?

    init(_ request: Request) throws {
        values = Dictionary(request.uri.queryParameters.map { (String($0.key), String($0.value)) }, uniquingKeysWith: { first, _ in first })
        limit = try number(values["limit"].map { $0[...] }, named: "limit")
        since = try number(values["since"].map { $0[...] }, named: "since").map {
            UnixTime(nanoseconds: HostClock.wall().nanoseconds - Int64($0) * 1_000_000_000)
        }
    }

    subscript(_ name: String) -> String? { values[name] }

    var query: String { self["q"] ?? "" }
}

/// What a request asks for, as JSON.
private func order<Order: Decodable>(_ type: Order.Type = Order.self, in request: Request) async throws -> Order {
    let bytes = try await request.body.collect(upTo: 4 << 20)
    do {
        return try AdminJSON.decode(type, from: bytes.readableBytesView)
    } catch {
        throw Problem(
            title: "the request can't be read", status: 400,
            detail: "\(request.method.rawValue) \(request.uri.path) takes \(type) as JSON: \(error)")
    }
}

private func number(_ text: Substring?, named name: String) throws -> Int? {
    guard let text else { return nil }
    guard let value = Int(text), value >= 0 else {
        throw Problem(title: "\(name) takes a whole number", status: 400, detail: "not '\(text)'")
    }
    return value
}

private func json(_ value: some Encodable) throws -> Response {
    Response(
        status: .ok, headers: [.contentType: AdminAPI.jsonType],
        body: ResponseBody(byteBuffer: ByteBuffer(bytes: try AdminJSON.encode(value))))
}

/// A stream of values as JSON lines, each sent as soon as it is there.
///
/// `whenSent` comes after the last line, or when nobody reads it any more.
private func lines<Values: AsyncSequence & Sendable>(
    of stream: Values, whenSent: @escaping @Sendable () async -> Void = {}
) -> Response where Values.Element: Encodable & Sendable {
    // Its end is the stream's; a kept connection would hold up the end of the daemon.
    Response(
        status: .ok, headers: [.contentType: AdminAPI.jsonLinesType, .connection: "close"],
        body: ResponseBody { writer in
            do {
                for try await value in stream { try await writer.write(ByteBuffer(bytes: try AdminJSON.line(value))) }
                try await writer.finish(nil)
            } catch {
                await whenSent()
                throw error
            }
            await whenSent()
        })
}

/// What is thrown becomes `application/problem+json`.
private struct ProblemAnswers<Context: Hummingbird.RequestContext>: RouterMiddleware {
    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let problem as Problem {
            return try answer(problem)
        } catch let error as any HTTPResponseError {
            return try answer(
                Problem(
                    title: error.status.reasonPhrase, status: error.status.code, detail: "\(request.method.rawValue) \(request.uri.path)",
                    hint: "this daemon speaks version \(AdminAPI.protocolVersion) of the admin API: is 'mesh' of the same release?"))
        } catch {
            return try answer(
                Problem(title: "the daemon failed", status: 500, detail: "\(error)", hint: "see daemon.log in the state folder"))
        }
    }

    private func answer(_ problem: Problem) throws -> Response {
        Response(
            status: .init(code: problem.status), headers: [.contentType: AdminAPI.problemType],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: try AdminJSON.encode(problem))))
    }
}
