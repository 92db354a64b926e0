import Curl
import Foundation
import Testing

/// The shop of this repository, as a customer and as an operator meet it.
extension RealProcesses {
    @Suite struct ShopTests {
        @Test func anOrderCrossesThreeTiersAndItsTraceSaysSo() throws {
            let shop = try TestMesh.shop()
            try shop.up()

            let placed = try shop.send(
                "POST", "/orders", json: #"{"customer": "1", "items": [{"sku": "tea-green", "qty": 1}, {"sku": "mug-blue", "qty": 2}]}"#)
            #expect(placed.status == 201, "\(placed.text)")
            let order = try shop.object(placed)
            let id = try #require(order["id"] as? String)
            #expect(placed.headers["Location"] == "/orders/\(id)")
            #expect(order["status"] as? String == "confirmed")
            #expect(order["total_cents"] as? Int == 790 + 2 * 1150)

            let shown = try shop.object(try shop.send("GET", "/orders/\(id)"))
            #expect((shown["customer"] as? [String: Any])?["id"] as? String == "1")
            #expect((shown["payment"] as? [String: Any])?["id"] as? String == order["payment_id"] as? String)

            let traceID = try #require(placed.headers["mesh-trace"])
            let spans = try shop.trace(traceID, with: ["gateway", "orders", "inventory", "crm", "ledger"])
            let servers = spans.filter { $0["kind"] as? String == "server" }
            func interval(_ service: String) throws -> ClosedRange<Int> {
                try Self.interval(of: try #require(servers.first { $0["service"] as? String == service }))
            }
            #expect(try interval("ledger").lowerBound >= interval("crm").upperBound, "the ledger is asked after the customer was found")
            let ids = Set(spans.compactMap { $0["span_id"] as? String })
            #expect(ids.count == spans.count)
            #expect(spans.filter { !ids.contains($0["parent_span_id"] as? String ?? "") }.count == 1, "one root, and no part is missing")

            let waterfall = try shop.mesh("traces", "show", traceID)
            #expect(waterfall.status == 0)
            for name in ["edge", "domain", "enterprise", "inventory", "ledger", "why:"] { #expect(waterfall.output.contains(name)) }
            let list = try shop.mesh("traces", "list", "--json").objects
            #expect(list.contains { $0["trace_id"] as? String == traceID && $0["route"] as? String == "POST /orders" })
            let found = try shop.mesh("traces", "list", "route:\"POST /orders\" status:201", "--since", "10m", "--json").objects
            #expect(found.map { $0["trace_id"] as? String } == [traceID])
            let wrong = try shop.mesh("traces", "list", "colour:red")
            #expect(wrong.status == 1 && wrong.errors.contains("service"), "it lists the words: \(wrong.errors)")
        }

        /// Spans and log lines of the service's own code stand in the trace of the request.
        @Test func whatOrdersSaysOfARefusalStandsInItsTrace() throws {
            let shop = try TestMesh.shop()
            try shop.up()
            let refused = try shop.send("POST", "/orders", json: #"{"customer": "1", "items": [{"sku": "tea-rooibos", "qty": 1}]}"#)
            #expect(refused.status == 409, "\(refused.text)")
            let id = try #require(refused.headers["mesh-trace"])
            let spans = try shop.trace(id, with: ["gateway", "orders", "inventory"])
            let reserve = try #require(spans.first { $0["name"] as? String == "reserve" })
            let server = try #require(spans.first { $0["service"] as? String == "orders" && $0["kind"] as? String == "server" })
            #expect(reserve["parent_span_id"] as? String == server["span_id"] as? String)
            #expect((reserve["attributes"] as? [String: Any])?["items"] as? Int == 1)
            let logs = try #require(server["logs"] as? [[String: Any]])
            #expect(logs.count == 1 && logs[0]["level"] as? String == "info")
            #expect((logs[0]["text"] as? String)?.contains("is refused: outOfStock") == true)
            let shown = try shop.mesh("traces", "show", id)
            #expect(shown.output.contains("reserve") && shown.output.contains("info orders.checkout: order"), "\(shown.output)")
            let order = try #require((reserve["attributes"] as? [String: Any])?["order_id"] as? String)
            #expect(try shop.mesh("traces", "list", "attr.order_id:\(order)", "--json").objects.map { $0["trace_id"] as? String } == [id])
            let logged = try shop.mesh("logs", "--trace", String(id.prefix(12)))
            #expect(logged.output.contains("outOfStock") && logged.output.split(separator: "\n").count == 1, "\(logged.output)")
        }

        /// When a span was, in nanoseconds of Unix time.
        private static func interval(of span: [String: Any]) throws -> ClosedRange<Int> {
            let start = try #require(span["start_unix_nano"] as? Int)
            return start...start + (try #require(span["duration_ns"] as? Int))
        }

        /// Orders that asked one after the other would never show it; on a busy machine one that asks at once may not show it either.
        @Test func anOrderAsksCRMAndInventorySideBySide() throws {
            let shop = try TestMesh.shop()
            try shop.up()
            let isSideBySide = try (1...10).contains { _ in
                let placed = try shop.send(
                    "POST", "/orders",
                    json: #"{"customer": "1", "items": [{"sku": "tea-green", "qty": 1}, {"sku": "mug-blue", "qty": 2}]}"#)
                let spans = try shop.trace(try #require(placed.headers["mesh-trace"]), with: ["inventory", "crm"])
                let servers = spans.filter { $0["kind"] as? String == "server" }
                let crm = try Self.interval(of: try #require(servers.first { $0["service"] as? String == "crm" }))
                let inventory = try servers.filter { $0["service"] as? String == "inventory" }.map(Self.interval)
                return inventory.contains { $0.overlaps(crm) }
            }
            #expect(isSideBySide)
        }

        @Test func badInputIsAnsweredAsTheShopPromises() throws {
            let shop = try TestMesh.shop()
            try shop.up()
            func order(_ json: String) throws -> (Int, [String: Any]) {
                let answer = try shop.send("POST", "/orders", json: json)
                #expect(answer.headers["Content-Type"]?.hasPrefix("application/problem+json") == true)
                return (answer.status, try shop.object(answer))
            }
            let (status, problem) = try order(#"{"customer": "1", "items": [{"sku": "mug-blue", "qty": 0}]}"#)
            #expect(status == 400)
            #expect((problem["errors"] as? [[String: Any]])?.first?["field"] as? String == "items[0].qty")
            #expect(try order("{").0 == 400)
            #expect(try order(#"{"customer": "99", "items": [{"sku": "mug-blue", "qty": 1}]}"#).0 == 404)
            #expect(try order(#"{"customer": "1", "items": [{"sku": "none", "qty": 1}]}"#).0 == 404)
            let (soldOut, why) = try order(#"{"customer": "1", "items": [{"sku": "tea-rooibos", "qty": 1}]}"#)
            #expect(soldOut == 409)
            #expect((why["type"] as? String)?.hasSuffix("/out-of-stock") == true)
            #expect(try order(#"{"customer": "5", "items": [{"sku": "scale-brew", "qty": 1}]}"#).0 == 409)
            #expect(try shop.send("GET", "/orders/none").status == 404)
            #expect(try shop.send("GET", "/customers/99").status == 404)
            #expect(try shop.send("GET", "/catalog/none").status == 404)
            #expect(try shop.send("GET", "/nowhere").status == 404)
            let customer = try shop.object(try shop.send("GET", "/customers/2"))
            #expect(customer["balance_cents"] as? Int == 250_000)
            #expect(try #require(try shop.ask("inventory", "/reservations")["items"] as? [Any]).isEmpty, "nothing half-done stays")
            #expect(try shop.ask("ledger", "/balance")["balance_cents"] as? Int == 0)
        }

        @Test func fiftyOrdersForTheLastTenPieces() throws {
            let shop = try TestMesh.shop()
            try shop.up()
            let request = CurlRequest(
                "POST", try shop.gateway + "/orders", headers: [CurlHeader("Content-Type", "application/json")],
                body: .text(#"{"customer": "1", "items": [{"sku": "scale-brew", "qty": 1}]}"#))
            let answers = TestMesh.client.sendAll(Array(repeating: request, count: 50), concurrency: 50)
            let statuses = try answers.map { try $0.get().status }
            #expect(statuses.filter { $0 == 201 }.count == 10, "\(statuses)")
            #expect(statuses.filter { $0 == 409 }.count == 40, "\(statuses)")
            let item = try shop.object(try shop.send("GET", "/catalog/scale-brew"))
            #expect(item["stock"] as? Int == 0)
            #expect(try shop.ask("ledger", "/balance")["balance_cents"] as? Int == 0)
            #expect(try #require(try shop.ask("inventory", "/reservations")["items"] as? [Any]).isEmpty)
        }

        @Test func searchFindsWithStock() throws {
            let shop = try TestMesh.shop()
            try shop.up()
            let found = try shop.object(try shop.send("GET", "/catalog/search?q=green"))
            let items = try #require(found["items"] as? [[String: Any]])
            #expect(items.map { $0["sku"] as? String } == ["tea-green"])
            #expect(items[0]["stock"] as? Int == 500)
            #expect(try shop.send("GET", "/search?q=mug").status == 200, "the rewritten route leads there too")
            #expect(try shop.send("GET", "/catalog/search").status == 400)
        }
    }
}
