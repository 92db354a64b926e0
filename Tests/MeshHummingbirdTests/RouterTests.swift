import Foundation
import MeshHummingbird
import Testing

/// A router behind a sidecar, asked through the sidecar's own calls.
@Suite struct RouterTests {
    struct Item: Codable, ResponseCodable, Equatable {
        var sku: String
        var qty: Int
    }

    /// Runs the router as the service `shop`, and `body` with a mesh that may call it.
    private func with(
        _ setup: (Router<MeshRequestContext>) -> Void, _ body: @Sendable (Mesh) async throws -> Void
    ) async throws {
        let router = Router(context: MeshRequestContext.self)
        setup(router)
        let shop = try Sidecar(.standalone("shop"))
        shop.serve(router)
        try await Self.run(shop) {
            let address = try await shop.addresses()[0]
            let caller = try Sidecar(.standalone("caller", calling: ["shop": "http://\(address)"]))
            caller.serve { _ in .text("") }
            try await Self.run(caller) { try await body(caller.mesh) }
        }
    }

    private static func run(_ sidecar: Sidecar, _ body: () async throws -> Void) async throws {
        let group = ServiceGroup(configuration: ServiceGroupConfiguration(services: [sidecar], logger: sidecar.logger))
        let running = Task { try await group.run() }
        let result: Result<Void, any Error>
        do {
            result = .success(try await body())
        } catch {
            result = .failure(error)
        }
        await group.triggerGracefulShutdown()
        try await running.value
        try result.get()
    }

    @Test func `routes with parameters answer values as JSON`() async throws {
        try await with {
            $0.get("/items/:sku") { request, context in
                Item(sku: try context.parameters.require("sku"), qty: request.uri.queryParameters.get("qty", as: Int.self) ?? 0)
            }
            $0.post("/items") { request, context in
                EditedResponse(status: .created, response: try await request.decode(as: Item.self, context: context))
            }
        } _: { mesh in
            #expect(try await mesh.call("shop", .get, "/items/tea?qty=3").json(as: Item.self) == Item(sku: "tea", qty: 3))
            let created = try await mesh.call("shop", .post, "/items", json: Item(sku: "tea", qty: 1))
            #expect(created.status == .created)
            #expect(created.headerFields[.contentType] == "application/json")
            #expect(try await created.json(as: Item.self) == Item(sku: "tea", qty: 1))
        }
    }

    @Test func `errors of every kind become problems`() async throws {
        struct Secret: Error {}
        try await with {
            $0.get("/problem") { _, _ -> String in throw Problem(.conflict, type: "https://shop.example/problems/x", detail: "no") }
            $0.get("/http-error") { _, _ -> String in throw HTTPError(.forbidden, message: "not yours") }
            $0.get("/secret") { _, _ -> String in throw Secret() }
            $0.post("/items") { request, context in try await request.decode(as: Item.self, context: context) }
        } _: { mesh in
            func problem(_ target: RequestTarget, _ method: HTTPRequest.Method = .get, body: OutgoingBody = .none) async throws -> Problem?
            {
                do {
                    try await mesh.call("shop", method, target, body: body).requireSuccess()
                    return nil
                } catch let error as UnexpectedStatus {
                    return error.problem
                }
            }
            let own = try #require(try await problem("/problem"))
            #expect(own.status == .conflict && own.type == "https://shop.example/problems/x" && own.detail == "no")
            let foreign = try #require(try await problem("/http-error"))
            #expect(foreign.status == .forbidden && foreign.detail == "not yours")
            #expect(try await problem("/secret")?.status == .internalServerError)
            #expect(try await problem("/nowhere")?.status == .notFound)
            let field = try #require(try await problem("/items", .post, body: .text(#"{"sku":"tea"}"#)))
            #expect(field.status == .badRequest && field.errors.map(\.field) == ["qty"])
        }
    }

    @Test func `the probe is answered unless the router does`() async throws {
        try await with {
            $0.get("/x") { _, _ in "x" }
        } _: { mesh in
            let answer = try await mesh.call("shop", .get, "/healthz")
            #expect(answer.status == .ok)
        }
        try await with {
            $0.get("/healthz") { _, _ in HTTPResponse.Status.serviceUnavailable }
        } _: { mesh in
            let answer = try await mesh.call("shop", .get, "/healthz")
            #expect(answer.status == .serviceUnavailable)
        }
    }

    @Test func `bodies stream through a router`() async throws {
        try await with {
            $0.post("/mirror") { request, _ in Response(status: .ok, body: .init(asyncSequence: request.body)) }
        } _: { mesh in
            let body = [UInt8](repeating: 7, count: 1 << 20)
            let answer = try await mesh.call("shop", .post, "/mirror", body: .bytes(body))
            #expect(try await answer.collect(upTo: 2 << 20) == body)
        }
    }

    @Test func `a route knows who asks, what is left, and the way to others`() async throws {
        try await with {
            $0.get("/me") { _, context in "\(context.request.caller) \(context.request.traceID.count) \(context.mesh === context.mesh)" }
        } _: { mesh in
            let answer = try await mesh.call("shop", .get, "/me")
            #expect(String(decoding: try await answer.collect(), as: UTF8.self) == "unauthenticated 32 true")
        }
    }
}
