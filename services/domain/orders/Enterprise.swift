import MeshHummingbird

extension ServiceName {
    static let inventory: Self = "inventory"
    static let ledger: Self = "ledger"
    static let crm: Self = "crm"
}

/// What orders asks of the services behind it.
struct Enterprise: Sendable {
    let mesh: Mesh

    struct Customer: Codable, Sendable {
        var id: String
        var name: String
        var email: String
    }

    struct Reservation: Codable, Sendable {
        var id: String
        var sku: String
        var qty: Int64
        var priceCents: Int64

        enum CodingKeys: String, CodingKey {
            case id, sku, qty
            case priceCents = "price_cents"
        }
    }

    struct Payment: Codable, Sendable {
        var id: String
        var amountCents: Int64
        var status: String

        enum CodingKeys: String, CodingKey {
            case id, status
            case amountCents = "amount_cents"
        }
    }

    /// A definite no of the service behind, as opposed to a failure whose outcome is unknown.
    enum Refusal: Error {
        case unknownCustomer
        case unknownSKU
        case outOfStock
        case paymentRefused(detail: String)
        case reservationLost
    }

    func customer(_ id: String) async throws -> Customer {
        let answer = try await mesh.call(.crm, .get, "/customers/\(id)")
        if answer.status == .notFound { throw Refusal.unknownCustomer }
        return try await answer.json(as: Customer.self)
    }

    func reserve(id: String, sku: String, qty: Int64) async throws -> Reservation {
        struct Order: Encodable {
            var id: String
            var sku: String
            var qty: Int64
        }
        let answer = try await mesh.call(
            .inventory, .post, "/reservations", json: Order(id: id, sku: sku, qty: qty), idempotencyKey: id)
        switch answer.status {
        case .notFound: throw Refusal.unknownSKU
        case .conflict: throw Refusal.outOfStock
        default: return try await answer.json(as: Reservation.self)
        }
    }

    func confirm(reservation id: String) async throws {
        let answer = try await mesh.call(.inventory, .post, "/reservations/\(id)/confirm", idempotencyKey: "confirm-\(id)")
        if answer.status == .conflict || answer.status == .notFound { throw Refusal.reservationLost }
        try await answer.requireSuccess()
    }

    func release(reservation id: String) async throws {
        try await mesh.call(.inventory, .delete, "/reservations/\(id)").requireSuccess()
    }

    func pay(order: OrderBook.Order) async throws -> Payment {
        struct Order: Encodable {
            var customer: String
            var amountCents: Int64
            var reference: String

            enum CodingKeys: String, CodingKey {
                case customer, reference
                case amountCents = "amount_cents"
            }
        }
        let body = Order(customer: order.customer, amountCents: order.totalCents, reference: order.id)
        let answer = try await mesh.call(.ledger, .post, "/payments", json: body, idempotencyKey: order.id)
        if answer.status == .conflict || answer.status == .notFound {
            do {
                try await answer.requireSuccess()
            } catch let unexpected as UnexpectedStatus {
                throw Refusal.paymentRefused(detail: unexpected.problem?.detail ?? "the payment was refused")
            }
        }
        return try await answer.json(as: Payment.self)
    }

    func payment(_ id: String) async throws -> Payment {
        try await mesh.call(.ledger, .get, "/payments/\(id)").json(as: Payment.self)
    }

    func cancel(payment id: String) async throws {
        try await mesh.call(.ledger, .delete, "/payments/\(id)").requireSuccess()
    }
}
