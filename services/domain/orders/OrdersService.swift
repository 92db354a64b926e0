import Foundation
import MeshHummingbird

/// Takes orders: `POST /orders`, `GET /orders/{id}`.
@main
struct OrdersService {
    static func main() async {
        await Sidecar.program { sidecar in
            let enterprise = Enterprise(mesh: sidecar.mesh)
            let book = try OrderBook.open(folder: sidecar.dataFolder)
            let checkout = Checkout(book: book, enterprise: enterprise, mesh: sidecar.mesh)
            sidecar.add(CompensationWorker(checkout: checkout))
            sidecar.serve(OrderRoutes(book: book, enterprise: enterprise, checkout: checkout).router())
        }
    }
}

struct OrderRoutes: Sendable {
    let book: OrderBook
    let enterprise: Enterprise
    let checkout: Checkout

    func router() -> Router<MeshRequestContext> {
        let router = Router(context: MeshRequestContext.self)
        router.post("/orders") { request, _ in
            let body = try await request.body.collect(upTo: 64 << 10)
            let order = try OrderRequest(json: Data(body.readableBytesView))
            do {
                let receipt = try await checkout.place(customer: order.customer, items: order.items)
                return EditedResponse(
                    status: .created, headers: [.location: "/orders/\(receipt.order.id)"], response: PlacedOrder(receipt))
            } catch let refusal as Enterprise.Refusal {
                throw problem(for: refusal)
            }
        }
        router.get("/orders/:id") { _, context in
            let id = try context.parameters.require("id")
            guard let order = try await book.confirmed(id) else {
                throw Problem(.notFound, detail: "there is no order '\(id)'")
            }
            async let customer = enterprise.customer(order.customer)
            async let payment = enterprise.payment(order.paymentID)
            return ShownOrder(order: order, customer: try await customer, payment: try await payment)
        }
        return router
    }

    private func problem(for refusal: Enterprise.Refusal) -> Problem {
        switch refusal {
        case .unknownCustomer: Problem(.notFound, detail: "there is no such customer")
        case .unknownSKU: Problem(.notFound, detail: "there is no such product")
        case .outOfStock: Problem(.conflict, type: "https://shop.example/problems/out-of-stock", detail: "not enough of it is in stock")
        case .paymentRefused(let detail):
            Problem(.conflict, type: "https://shop.example/problems/payment-refused", detail: detail)
        case .reservationLost:
            Problem(.conflict, type: "https://shop.example/problems/out-of-stock", detail: "what was held went to others")
        }
    }
}

/// The answer to `POST /orders`.
private struct PlacedOrder: ResponseEncodable {
    var id: String
    var customer: String
    var items: [OrderBook.Item]
    var totalCents: Int64
    var status: String
    var paymentID: String

    private enum CodingKeys: String, CodingKey {
        case id, customer, items, status
        case totalCents = "total_cents"
        case paymentID = "payment_id"
    }

    init(_ receipt: Checkout.Receipt) {
        id = receipt.order.id
        customer = receipt.order.customer
        items = receipt.order.items
        totalCents = receipt.order.totalCents
        status = "confirmed"
        paymentID = receipt.paymentID
    }
}

/// The answer to `GET /orders/{id}`.
private struct ShownOrder: ResponseEncodable {
    var id: String
    var customer: Enterprise.Customer
    var items: [OrderBook.Item]
    var totalCents: Int64
    var status: String
    var payment: Enterprise.Payment
    var paymentID: String

    private enum CodingKeys: String, CodingKey {
        case id, customer, items, status, payment
        case totalCents = "total_cents"
        case paymentID = "payment_id"
    }

    init(order: OrderBook.Order, customer: Enterprise.Customer, payment: Enterprise.Payment) {
        id = order.id
        self.customer = customer
        items = order.items
        totalCents = order.totalCents
        status = order.status.rawValue
        self.payment = payment
        paymentID = payment.id
    }
}
