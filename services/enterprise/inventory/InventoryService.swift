import Foundation
import MeshHummingbird

/// Keeps the shelves: `GET /stock?sku=`, `POST /reservations`, `POST /reservations/{id}/confirm`, `DELETE /reservations/{id}`,
/// and `GET /reservations`, what is held now.
@main
struct InventoryService {
    static func main() async {
        await Sidecar.program { sidecar in
            sidecar.serve(InventoryRoutes(inventory: try Inventory.open(folder: sidecar.dataFolder)).router())
        }
    }
}

struct InventoryRoutes: Sendable {
    let inventory: Inventory

    private struct StockList: ResponseEncodable { var items: [Inventory.Stock] }
    private struct ReservationList: ResponseEncodable { var items: [Inventory.Reservation] }

    func router() -> Router<MeshRequestContext> {
        let router = Router(context: MeshRequestContext.self)
        router.get("/stock") { request, _ in
            let skus = request.uri.queryParameters.getAll("sku")
            let stock = try await inventory.stock(of: skus.isEmpty ? nil : skus)
            if skus.count == 1, stock.isEmpty { throw Problem(.notFound, detail: "there is no product '\(skus[0])'") }
            return StockList(items: stock)
        }
        router.get("/reservations") { _, _ in ReservationList(items: try await inventory.held()) }
        router.post("/reservations") { request, _ in
            let body = try await request.body.collect(upTo: 16 << 10)
            let wanted = try ReservationRequest(json: Data(body.readableBytesView))
            let reservation = try await refusingClearly {
                try await inventory.reserve(id: wanted.id, sku: wanted.sku, qty: wanted.qty)
            }
            return EditedResponse(status: .created, headers: [.location: "/reservations/\(reservation.id)"], response: reservation)
        }
        router.post("/reservations/:id/confirm") { _, context in
            let id = try context.parameters.require("id")
            return try await refusingClearly { try await inventory.confirm(id: id) }
        }
        router.delete("/reservations/:id") { _, context in
            try await inventory.release(id: try context.parameters.require("id"))
            return HTTPResponse.Status.noContent
        }
        return router
    }

    private func refusingClearly(_ work: () async throws -> Inventory.Reservation) async throws -> Inventory.Reservation {
        let base = "https://shop.example/problems/"
        do {
            return try await work()
        } catch let refusal as Inventory.Refusal {
            throw switch refusal {
            case .unknownSKU: Problem(.notFound, detail: "there is no such product")
            case .unknownReservation: Problem(.notFound, detail: "there is no such reservation")
            case .outOfStock(let left): Problem(.conflict, type: base + "out-of-stock", detail: "only \(left) are left")
            case .expired: Problem(.conflict, type: base + "reservation-expired", detail: "its time was over, or it was released")
            case .idReused:
                Problem(.conflict, type: base + "reservation-reused", detail: "the id stands for another reservation, or an ended one")
            }
        }
    }
}

extension Inventory.Reservation: ResponseEncodable {}

/// What `POST /reservations` takes; without an id one is made.
struct ReservationRequest: Hashable, Sendable {
    var id: String
    var sku: String
    var qty: Int64

    /// - Throws: a 400 `Problem` that names every field that is wrong.
    init(json: Data) throws {
        guard let sent = try? JSONDecoder().decode(Sent.self, from: json) else {
            throw Problem(.badRequest, detail: "the body must be a JSON object with 'sku' and 'qty'")
        }
        var errors: [Problem.FieldError] = []
        id = sent.id ?? UUID().uuidString.lowercased()
        sku = sent.sku ?? ""
        qty = sent.qty ?? 0
        if id.isEmpty || id.utf8.count > 128 || id.contains("/") {
            errors.append(.init(field: "id", message: "must be text of 1 to 128 bytes without '/'"))
        }
        if sku.isEmpty { errors.append(.init(field: "sku", message: "must be a product's sku, as text")) }
        if qty < 1 { errors.append(.init(field: "qty", message: "must be a whole number above 0")) }
        if !errors.isEmpty { throw Problem(.badRequest, detail: "the reservation can't be made as it is", errors: errors) }
    }

    private struct Sent: Decodable {
        var id: String?
        var sku: String?
        var qty: Int64?

        enum CodingKeys: String, CodingKey { case id, sku, qty }

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            id = try? fields.decode(String.self, forKey: .id)
            sku = try? fields.decode(String.self, forKey: .sku)
            qty = try? fields.decode(Int64.self, forKey: .qty)
        }
    }
}
