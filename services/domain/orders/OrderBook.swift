import Foundation
import GRDB
import ShopKit

/// The orders and, for each that is not finished, the record of what must be undone or done to finish it.
///
/// Invariants: before anything is asked of another service a compensation record stands; it goes only when the order is
/// confirmed, or everything is given back. A record is worked off by one replica at a time: by the one that holds its lease.
struct OrderBook: Sendable {
    let database: any DatabaseWriter

    struct Item: Codable, Hashable, Sendable {
        var sku: String
        var qty: Int64
    }

    struct Order: Hashable, Sendable {
        enum Status: String, Codable, Sendable {
            case pending, confirmed, cancelled
        }

        var id: String
        var customer: String
        var items: [Item]
        var totalCents: Int64
        var status: Status

        /// Chosen by us, so that a hold can be released also by one who never saw the answer.
        func reservationID(at index: Int) -> String { "\(id)-\(index)" }
        var reservationIDs: [String] { items.indices.map(reservationID) }
        /// As the ledger derives it from the key, which is the order's id.
        var paymentID: String { "pay-\(id)" }
    }

    /// What finishes an order that was left half-done.
    enum Compensation: String, Sendable {
        /// Not paid for certain: release what is held and cancel the payment.
        case undo
        /// Paid: what is held must be confirmed.
        case confirm
    }

    struct Unfinished: Hashable, Sendable {
        var order: Order
        var compensation: Compensation
    }

    /// How long a request may work on its order before others take it for left behind; more than any deadline of the edge.
    static let leaseFor: TimeInterval = 30

    func begin(_ order: Order, now: Date = .now) async throws {
        try await database.write { db in
            try db.execute(
                sql: "INSERT INTO \"order\" (id, customer, items, total_cents, status) VALUES (?, ?, ?, ?, ?)",
                arguments: [order.id, order.customer, try Self.encode(order.items), order.totalCents, order.status.rawValue])
            try db.execute(
                sql: "INSERT INTO compensation (order_id, action, lease_until) VALUES (?, ?, ?)",
                arguments: [order.id, Compensation.undo.rawValue, now.timeIntervalSince1970 + Self.leaseFor])
        }
    }

    /// The point of no return: from here the order is finished forwards.
    func paid(_ order: Order) async throws {
        try await database.write { db in
            try db.execute(
                sql: "UPDATE \"order\" SET total_cents = ?, status = ? WHERE id = ?",
                arguments: [order.totalCents, Order.Status.confirmed.rawValue, order.id])
            try db.execute(
                sql: "UPDATE compensation SET action = ? WHERE order_id = ?", arguments: [Compensation.confirm.rawValue, order.id])
        }
    }

    /// Nothing is left to be done.
    func finished(_ id: String, as status: Order.Status) async throws {
        try await database.write { db in
            try db.execute(sql: "UPDATE \"order\" SET status = ? WHERE id = ?", arguments: [status.rawValue, id])
            try db.execute(sql: "DELETE FROM compensation WHERE order_id = ?", arguments: [id])
        }
    }

    /// The request gives its order up half-done: others may take it at once.
    func abandoned(_ id: String, now: Date = .now) async throws {
        try await database.write { db in
            try db.execute(
                sql: "UPDATE compensation SET lease_until = ? WHERE order_id = ?", arguments: [now.timeIntervalSince1970, id])
        }
    }

    /// Takes one order that was left half-done, for `leaseFor` seconds; nil when there is none.
    func takeUnfinished(now: Date = .now) async throws -> Unfinished? {
        try await database.write { db in
            guard
                let row = try Row.fetchOne(
                    db, sql: "SELECT order_id, action FROM compensation WHERE lease_until <= ? ORDER BY lease_until LIMIT 1",
                    arguments: [now.timeIntervalSince1970])
            else { return nil }
            let id: String = row["order_id"]
            try db.execute(
                sql: "UPDATE compensation SET lease_until = ? WHERE order_id = ?",
                arguments: [now.timeIntervalSince1970 + Self.leaseFor, id])
            guard let order = try Self.order(id, in: db), let compensation = Compensation(rawValue: row["action"]) else { return nil }
            return Unfinished(order: order, compensation: compensation)
        }
    }

    /// An order that a customer may see: one under way or cancelled is none.
    func confirmed(_ id: String) async throws -> Order? {
        try await database.read { try Self.order(id, in: $0) }.flatMap { $0.status == .confirmed ? $0 : nil }
    }

    func countUnfinished() async throws -> Int {
        try await database.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM compensation") ?? 0 }
    }

    private static func order(_ id: String, in db: Database) throws -> Order? {
        try Row.fetchOne(db, sql: "SELECT * FROM \"order\" WHERE id = ?", arguments: [id]).map { row in
            Order(
                id: row["id"], customer: row["customer"], items: try JSONDecoder().decode([Item].self, from: row["items"]),
                totalCents: row["total_cents"], status: Order.Status(rawValue: row["status"]) ?? .cancelled)
        }
    }

    private static func encode(_ items: [Item]) throws -> String { String(decoding: try JSONEncoder().encode(items), as: UTF8.self) }
}

extension OrderBook {
    static var migrations: DatabaseMigrator {
        var migrations = DatabaseMigrator()
        migrations.registerMigration("1 orders and compensations") { db in
            try db.execute(
                sql: """
                    CREATE TABLE "order" (
                        id TEXT PRIMARY KEY, customer TEXT NOT NULL, items TEXT NOT NULL, total_cents INTEGER NOT NULL, status TEXT NOT NULL
                    ) STRICT;
                    CREATE TABLE compensation (
                        order_id TEXT PRIMARY KEY REFERENCES "order", action TEXT NOT NULL, lease_until REAL NOT NULL
                    ) STRICT;
                    CREATE INDEX compensation_by_lease ON compensation (lease_until);
                    """)
        }
        return migrations
    }

    static func open(folder: String) throws -> OrderBook {
        OrderBook(database: try ServiceDatabase.open(folder: folder, migrations: migrations))
    }
}
