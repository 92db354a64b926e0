import Foundation
import Logging
import MeshHummingbird

/// Carries an order through customer check, reservations and payment, and undoes what was done of one that fails.
struct Checkout: Sendable {
    let book: OrderBook
    let enterprise: Enterprise
    let mesh: Mesh
    private let logger = Logger(label: "orders.checkout")

    /// How long undoing may take while the customer waits for the answer; what is left then is worked off later.
    private static let undoWithin: Duration = .seconds(2)

    struct Receipt: Sendable {
        var order: OrderBook.Order
        var paymentID: String
    }

    func place(customer: String, items: [OrderBook.Item]) async throws -> Receipt {
        var order = OrderBook.Order(
            id: UUID().uuidString.lowercased(), customer: customer, items: items, totalCents: 0, status: .pending)
        try await book.begin(order)
        do {
            order.totalCents = try await withSpan("reserve") { span in
                span.attributes["order_id"] = order.id
                span.attributes["items"] = order.items.count
                return try await reserveAll(of: order)
            }
        } catch {
            logger.info("order \(order.id) is refused: \(error)")
            await undo(order, mayBePaid: false)
            throw error
        }
        let payment: Enterprise.Payment
        do {
            payment = try await enterprise.pay(order: order)
        } catch {
            logger.info("order \(order.id) is not paid: \(error)")
            await undo(order, mayBePaid: !(error is Enterprise.Refusal))
            throw error
        }
        try await book.paid(order)
        do {
            try await confirmSteps(order)
        } catch {
            logger.warning("order \(order.id) is confirmed later: \(error)")
            await abandon(order)
        }
        return Receipt(order: order, paymentID: payment.id)
    }

    /// Asks for the customer and every item side by side; the total, once all said yes.
    private func reserveAll(of order: OrderBook.Order) async throws -> Int64 {
        try await withThrowingTaskGroup(of: Int64.self) { group in
            group.addTask {
                _ = try await enterprise.customer(order.customer)
                return 0
            }
            for (index, item) in order.items.enumerated() {
                group.addTask {
                    try await enterprise.reserve(id: order.reservationID(at: index), sku: item.sku, qty: item.qty).priceCents * item.qty
                }
            }
            return try await group.reduce(0, +)
        }
    }

    /// Gives everything back, also when the customer is gone or the deadline is over.
    private func undo(_ order: OrderBook.Order, mayBePaid: Bool) async {
        do {
            try await mesh.detached(deadline: Self.undoWithin) { try await undoSteps(order, mayBePaid: mayBePaid) }
        } catch {
            logger.warning("order \(order.id) is undone later: \(error)")
            await abandon(order)
        }
    }

    private func abandon(_ order: OrderBook.Order) async {
        // Should this fail too, the record's lease runs out by itself.
        try? await book.abandoned(order.id)
    }

    private func undoSteps(_ order: OrderBook.Order, mayBePaid: Bool) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            if mayBePaid { group.addTask { try await enterprise.cancel(payment: order.paymentID) } }
            for id in order.reservationIDs { group.addTask { try await enterprise.release(reservation: id) } }
            try await group.waitForAll()
        }
        try await book.finished(order.id, as: .cancelled)
    }

    private func confirmSteps(_ order: OrderBook.Order) async throws {
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for id in order.reservationIDs { group.addTask { try await enterprise.confirm(reservation: id) } }
                try await group.waitForAll()
            }
            try await book.finished(order.id, as: .confirmed)
        } catch Enterprise.Refusal.reservationLost {
            // Paid, but what was held went to others before it could be confirmed: the money goes back.
            try await undoSteps(order, mayBePaid: true)
        }
    }

    /// Works off one order that was left half-done; false when there is none.
    func workOffOne() async throws -> Bool {
        guard let unfinished = try await book.takeUnfinished() else { return false }
        do {
            try await mesh.detached(deadline: .seconds(10), name: "compensation") {
                switch unfinished.compensation {
                case .undo: try await undoSteps(unfinished.order, mayBePaid: true)
                case .confirm: try await confirmSteps(unfinished.order)
                }
            }
            logger.info("order \(unfinished.order.id), left behind, is finished (\(unfinished.compensation.rawValue))")
        } catch {
            logger.warning("order \(unfinished.order.id), left behind, is tried again later: \(error)")
        }
        return true
    }
}

/// Works off, while the service runs, what crashed or failed requests left behind.
struct CompensationWorker: Service {
    let checkout: Checkout

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let worked = (try? await checkout.workOffOne()) ?? false
                if !worked { try await Task.sleep(for: .seconds(1)) }
            }
        }
    }
}
