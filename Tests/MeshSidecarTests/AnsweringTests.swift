import Foundation
import MeshModel
import MeshTransport
import Testing

@testable import MeshSidecar

@Suite struct AnsweringTests {
    struct Item: Codable, Equatable {
        var sku: String
        var qty: Int
    }
    struct Order: Codable, Equatable {
        var customer: String
        var items: [Item]
    }
    struct Secret: Error, CustomStringConvertible { var description: String { "password=hunter2" } }

    @Test func `a handler answers with text, JSON and header fields`() async throws {
        try await RunningService.with {
            $0.serve { request in
                request.path == "/json"
                    ? try .json(["name": "tea"], status: .created, headerFields: [.location: "/items/1"])
                    : .text(
                        "\(request.method) \(request.path) \(request.query("a b") ?? "-") \(request.pathComponents.joined(separator: "|"))")
            }
        } _: { service in
            let text = try await service.get("/x%20y/z?a+b=c%2Fd&e")
            #expect(text.status == 200)
            #expect(text.body == "GET /x%20y/z c/d x y|z")
            #expect(text.fields["content-type"] == "text/plain; charset=utf-8")

            let json = try await service.get("/json")
            #expect(json.status == 201)
            #expect(json.fields["location"] == "/items/1")
            #expect(json.fields["content-type"] == "application/json")
            #expect(json.body == #"{"name":"tea"}"#)
        }
    }

    @Test func `a body is read as JSON, and what is wrong with it is named`() async throws {
        try await RunningService.with {
            $0.serve { request in try .json(await request.json(as: Order.self, upTo: 1_000)) }
        } _: { service in
            let good = #"{"customer":"1","items":[{"qty":2,"sku":"tea"}]}"#
            let answer1 = try await service.get("/", method: "POST", body: good)
            #expect(answer1.body == good)

            for (body, field) in [
                (#"{"customer":"1","items":[{"sku":"tea"}]}"#, "items[0].qty"),
                (#"{"customer":"1","items":[{"sku":"tea","qty":"two"}]}"#, "items[0].qty"),
                (#"{"customer":null,"items":[]}"#, "customer"),
                (#"{"items":[]}"#, "customer"),
                (#"[]"#, "body"),
            ] {
                let answer = try await service.get("/", method: "POST", body: body)
                #expect(answer.status == 400)
                #expect(answer.fields["content-type"] == "application/problem+json")
                let errors = answer.json()?["errors"] as? [[String: String]]
                #expect(errors?.first?["field"] == field, "for \(body): \(answer.body)")
            }
            let nonsense = try await service.get("/", method: "POST", body: "{")
            #expect(nonsense.status == 400)
            #expect(nonsense.json()?["detail"] as? String == "the body is not valid JSON")
        }
    }

    @Test func `a body over the limit is answered 413`() async throws {
        try await RunningService.with {
            $0.serve { request in .text("\(try await request.body.collect(upTo: 10).count)") }
        } _: { service in
            let answer2 = try await service.get("/", method: "POST", body: "0123456789")
            #expect(answer2.body == "10")
            let answer = try await service.get("/", method: "POST", body: "0123456789a")
            #expect(answer.status == 413)
            #expect(answer.json()?["status"] as? Int == 413)
        }
    }

    @Test func `a problem is the answer, with all that it says and the trace id`() async throws {
        try await RunningService.with {
            $0.serve { _ in
                throw Problem(
                    .conflict, type: "https://shop.example/problems/out-of-stock", title: "Out of stock", detail: "2 left",
                    errors: [.init(field: "items[0].qty", message: "must be at most 2")], headerFields: [.retryAfter: "5"])
            }
        } _: { service in
            let trace = "0af7651916cd43dd8448eb211c80319c"
            let answer = try await service.get("/", fields: ["traceparent": "00-\(trace)-b7ad6b7169203331-01"])
            #expect(answer.status == 409)
            #expect(answer.fields["retry-after"] == "5")
            let json = try #require(answer.json())
            #expect(json["type"] as? String == "https://shop.example/problems/out-of-stock")
            #expect(json["title"] as? String == "Out of stock")
            #expect(json["status"] as? Int == 409)
            #expect(json["detail"] as? String == "2 left")
            #expect(json["trace_id"] as? String == trace)
            #expect(json["errors"] as? [[String: String]] == [["field": "items[0].qty", "message": "must be at most 2"]])
        }
    }

    @Test func `an unexpected error is answered 500 and nothing from inside gets out`() async throws {
        try await RunningService.with {
            $0.serve { _ in throw Secret() }
        } _: { service in
            let answer = try await service.get("/")
            #expect(answer.status == 500)
            #expect(!answer.body.contains("hunter2"))
            #expect((answer.json()?["trace_id"] as? String)?.count == 32)
        }
    }

    @Test func `the probe is answered where the author does not answer it`() async throws {
        try await RunningService.with {
            $0.serve { _ in throw Problem(.notFound) }
        } _: { service in
            let answer3 = try await service.get("/healthz")
            #expect(answer3.status == 200)
            let answer4 = try await service.get("/other")
            #expect(answer4.status == 404)
            let answer5 = try await service.get("/healthz", method: "POST")
            #expect(answer5.status == 404)
        }
        try await RunningService.with {
            $0.serve { _ in .text("mine", status: .serviceUnavailable) }
        } _: { service in
            let answer = try await service.get("/healthz")
            #expect(answer.status == 503)
            #expect(answer.body == "mine")
        }
    }

    @Test func `bodies stream both ways`() async throws {
        try await RunningService.with {
            $0.serve { request in
                MeshResponse(
                    body: .stream { writer in
                        for try await piece in request.body { try await writer.write(piece.map { $0 ^ 0x20 }) }
                        try await writer.write("!")
                    })
            }
        } _: { service in
            let body = String(repeating: "abcdefgh", count: 40_000)
            let answer = try await service.get("/", method: "POST", body: body)
            #expect(answer.body == body.uppercased() + "!")
        }
    }

    @Test func `a stream that fails does not look complete`() async throws {
        try await RunningService.with {
            $0.serve { _ in
                MeshResponse(
                    body: .stream { writer in
                        try await writer.write("half")
                        throw Secret()
                    })
            }
        } _: { service in
            _ = await #expect(throws: RawClient.Failure.self) { try await service.get("/") }
        }
    }

    @Test func `who calls is shown as not proven`() async throws {
        try await RunningService.with {
            $0.serve { request in .text("\(request.caller)") }
        } _: { service in
            let answer6 = try await service.get("/")
            #expect(answer6.body == "unauthenticated")
            let answer7 = try await service.get("/", fields: ["mesh-caller": "orders"])
            #expect(answer7.body == "orders (unauthenticated)")
        }
    }

    @Test func `an error is told under the route that it came from`() async {
        let answering = Answering(
            handler: { request in
                request.isAnswered(byRoute: "/orders/:id")
                throw Problem(.notFound)
            }, isReady: { true }, logger: Logger(label: "test"))
        let trace = TraceContext(traceID: TraceID(high: 1, low: 2), spanID: SpanID(3), flags: 1)
        let response = await answering(
            InboundRequest(
                method: .get, path: "/orders/7", authority: nil, fields: [:], body: BodyStream(),
                context: InboundContext(deadline: nil, trace: trace, received: .zero)))
        #expect(response.route == "/orders/:id")
    }

    @Test func `a number in the query that is none is named`() async throws {
        try await RunningService.with {
            $0.serve { request in .text("\(try request.query("n", as: Int.self) ?? -1)") }
        } _: { service in
            let answer8 = try await service.get("/?n=7")
            #expect(answer8.body == "7")
            let answer9 = try await service.get("/")
            #expect(answer9.body == "-1")
            let answer = try await service.get("/?n=seven")
            #expect(answer.status == 400)
            #expect((answer.json()?["errors"] as? [[String: String]])?.first?["field"] == "n")
        }
    }
}
