import Foundation
import MeshHummingbird

/// What a customer sends to `POST /orders`, checked field by field.
struct OrderRequest: Hashable, Sendable {
    static let mostItems = 20
    static let mostPieces: Int64 = 1000
    static let longestText = 64

    var customer: String
    var items: [OrderBook.Item]

    /// - Throws: a 400 `Problem` that names every field that is wrong.
    init(json: Data) throws {
        guard let sent = try? JSONDecoder().decode(Sent.self, from: json) else {
            throw Problem(.badRequest, detail: "the body must be a JSON object with 'customer' and 'items'")
        }
        var errors: [Problem.FieldError] = []
        func text(_ value: String?, _ field: String, _ what: String) -> String {
            let value = value ?? ""
            if value.isEmpty || value.utf8.count > Self.longestText {
                errors.append(.init(field: field, message: "must be \(what), as text of at most \(Self.longestText) bytes"))
            }
            return value
        }
        customer = text(sent.customer, "customer", "a customer's id")
        items = []
        let sentItems = sent.items ?? []
        if sentItems.isEmpty || sentItems.count > Self.mostItems {
            errors.append(.init(field: "items", message: "must be a list of 1 to \(Self.mostItems) items"))
        }
        for (index, item) in sentItems.prefix(Self.mostItems).enumerated() {
            let sku = text(item.sku, "items[\(index)].sku", "a product's sku")
            let qty = item.qty ?? 0
            if !(1...Self.mostPieces).contains(qty) {
                errors.append(.init(field: "items[\(index)].qty", message: "must be a whole number from 1 to \(Self.mostPieces)"))
            }
            if !sku.isEmpty, items.contains(where: { $0.sku == sku }) {
                errors.append(.init(field: "items[\(index)].sku", message: "stands in the order already"))
            }
            items.append(OrderBook.Item(sku: sku, qty: qty))
        }
        if !errors.isEmpty { throw Problem(.badRequest, detail: "the order can't be taken as it is", errors: errors) }
    }

    /// The shape of the JSON; what is missing or of another type is nil, so that all of it can be named at once.
    private struct Sent: Decodable {
        struct Item: Decodable {
            var sku: String?
            var qty: Int64?

            enum CodingKeys: String, CodingKey { case sku, qty }

            init(from decoder: any Decoder) {
                let fields = try? decoder.container(keyedBy: CodingKeys.self)
                sku = try? fields?.decode(String.self, forKey: .sku)
                qty = try? fields?.decode(Int64.self, forKey: .qty)
            }
        }

        var customer: String?
        var items: [Item]?

        enum CodingKeys: String, CodingKey { case customer, items }

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            customer = try? fields.decode(String.self, forKey: .customer)
            items = try? fields.decode([Item].self, forKey: .items)
        }
    }
}
