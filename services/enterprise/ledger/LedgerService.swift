import Foundation
import MeshHummingbird

/// Keeps the books: `POST /payments` with `Idempotency-Key`, `GET` and `DELETE /payments/{id}`, `GET /accounts/{id}`, `GET /balance`.
@main
struct LedgerService {
    static func main() async {
        await Sidecar.program { sidecar in
            sidecar.serve(LedgerRoutes(ledger: try Ledger.open(folder: sidecar.dataFolder)).router())
        }
    }
}

struct LedgerRoutes: Sendable {
    let ledger: Ledger

    func router() -> Router<MeshRequestContext> {
        let router = Router(context: MeshRequestContext.self)
        router.post("/payments") { request, _ in
            let key = request.headers[.idempotencyKey] ?? ""
            let body = try await request.body.collect(upTo: 16 << 10)
            let order = try PaymentRequest(json: Data(body.readableBytesView), key: key)
            do {
                let payment = try await ledger.pay(
                    key: key, customer: order.customer, amountCents: order.amountCents, reference: order.reference)
                return EditedResponse(status: .created, headers: [.location: "/payments/\(payment.id)"], response: payment)
            } catch let refusal as Ledger.Refusal {
                throw problem(for: refusal)
            }
        }
        router.get("/payments/:id") { _, context in
            let id = try context.parameters.require("id")
            guard let payment = try await ledger.payment(id) else { throw Problem(.notFound, detail: "there is no payment '\(id)'") }
            return payment
        }
        router.delete("/payments/:id") { _, context in
            try await ledger.cancel(paymentID: try context.parameters.require("id"))
            return HTTPResponse.Status.noContent
        }
        router.get("/accounts/:id") { _, context in
            let id = try context.parameters.require("id")
            guard let account = try await ledger.account(id) else { throw Problem(.notFound, detail: "there is no account '\(id)'") }
            return account
        }
        router.get("/balance") { _, _ in ["balance_cents": try await ledger.balance()] }
        return router
    }

    private func problem(for refusal: Ledger.Refusal) -> Problem {
        let base = "https://shop.example/problems/"
        return switch refusal {
        case .unknownAccount: Problem(.notFound, detail: "the customer has no account")
        case .insufficientFunds: Problem(.conflict, type: base + "payment-refused", detail: "the account does not cover the amount")
        case .cancelled: Problem(.conflict, type: base + "payment-cancelled", detail: "the payment was cancelled")
        case .keyReused:
            Problem(
                .unprocessableContent, type: base + "idempotency-key-reused", detail: "the key was used before for another payment",
                errors: [.init(field: "Idempotency-Key", message: "stands for another payment")])
        }
    }
}

extension Ledger.Payment: ResponseEncodable {}
extension Ledger.Account: ResponseEncodable {}

extension HTTPField.Name {
    static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
}

/// What `POST /payments` takes.
struct PaymentRequest: Hashable, Sendable {
    var customer: String
    var amountCents: Int64
    var reference: String

    /// - Throws: a 400 `Problem` that names every field that is wrong.
    init(json: Data, key: String) throws {
        guard let sent = try? JSONDecoder().decode(Sent.self, from: json) else {
            throw Problem(.badRequest, detail: "the body must be a JSON object with 'customer', 'amount_cents' and 'reference'")
        }
        var errors: [Problem.FieldError] = []
        if key.isEmpty || key.utf8.count > 128 {
            errors.append(.init(field: "Idempotency-Key", message: "must be given, as a header of at most 128 bytes"))
        }
        if (sent.customer ?? "").isEmpty { errors.append(.init(field: "customer", message: "must be a customer's id, as text")) }
        if (sent.amountCents ?? 0) <= 0 { errors.append(.init(field: "amount_cents", message: "must be a whole number above 0")) }
        if !errors.isEmpty { throw Problem(.badRequest, detail: "the payment can't be taken as it is", errors: errors) }
        customer = sent.customer ?? ""
        amountCents = sent.amountCents ?? 0
        reference = sent.reference ?? ""
    }

    private struct Sent: Decodable {
        var customer: String?
        var amountCents: Int64?
        var reference: String?

        enum CodingKeys: String, CodingKey {
            case customer, reference
            case amountCents = "amount_cents"
        }

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            customer = try? fields.decode(String.self, forKey: .customer)
            amountCents = try? fields.decode(Int64.self, forKey: .amountCents)
            reference = try? fields.decode(String.self, forKey: .reference)
        }
    }
}
