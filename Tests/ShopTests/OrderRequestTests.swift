import Foundation
import MeshSidecar
import Testing

@testable import orders

@Suite struct OrderRequestTests {
    @Test func aGoodOrderIsTaken() throws {
        let order = try OrderRequest(json: Data(#"{"customer": "1", "items": [{"sku": "mug", "qty": 2}], "note": 1}"#.utf8))
        #expect(order.customer == "1")
        #expect(order.items == [.init(sku: "mug", qty: 2)])
    }

    @Test(arguments: [
        (#"{"items": [{"sku": "mug", "qty": 1}]}"#, ["customer"]),
        (#"{"customer": 1, "items": [{"sku": "mug", "qty": 1}]}"#, ["customer"]),
        (#"{"customer": "1"}"#, ["items"]),
        (#"{"customer": "1", "items": []}"#, ["items"]),
        (#"{"customer": "1", "items": [{"sku": "mug", "qty": 0}]}"#, ["items[0].qty"]),
        (#"{"customer": "1", "items": [{"sku": "mug", "qty": true}]}"#, ["items[0].qty"]),
        (#"{"customer": "1", "items": [{"sku": "mug", "qty": 1.5}]}"#, ["items[0].qty"]),
        (#"{"customer": "1", "items": [{"sku": "mug", "qty": -3}, {"qty": 1}]}"#, ["items[0].qty", "items[1].sku"]),
        (#"{"customer": "1", "items": [{"sku": "mug", "qty": 1}, {"sku": "mug", "qty": 1}]}"#, ["items[1].sku"]),
        (#"{"customer": "1", "items": [7]}"#, ["items[0].sku", "items[0].qty"]),
        (#"[]"#, []),
        (#"{"customer"#, []),
    ])
    func everyWrongFieldIsNamed(json: String, fields: [String]) throws {
        let problem = try #require(throws: Problem.self) { try OrderRequest(json: Data(json.utf8)) }
        #expect(problem.status == .badRequest)
        #expect(problem.errors.map(\.field) == fields)
    }
}
