import Foundation
import GRDB
import ShopKit

/// What is on the shelves, and what of it is held for orders under way.
///
/// Invariants: `on hand - held` never falls below zero, however many ask at once; a hold ends by being confirmed, released, or
/// by its time; a released id can't be held later.
struct Inventory: Sendable {
    static let holdFor: TimeInterval = 300

    let database: any DatabaseWriter

    struct Stock: Codable, Hashable, Sendable {
        var sku: String
        var stock: Int64
        var priceCents: Int64

        enum CodingKeys: String, CodingKey {
            case sku, stock
            case priceCents = "price_cents"
        }
    }

    struct Reservation: Codable, Hashable, Sendable {
        enum Status: String, Codable, Sendable { case held, confirmed, released }

        var id: String
        var sku: String
        var qty: Int64
        var priceCents: Int64
        var status: Status
        /// Seconds since 1970; a hold past it no longer counts.
        var expiresAt: Double

        enum CodingKeys: String, CodingKey {
            case id, sku, qty, status
            case priceCents = "price_cents"
            case expiresAt = "expires_at"
        }
    }

    enum Refusal: Error, Hashable {
        case unknownSKU
        case outOfStock(left: Int64)
        /// The id stands for another reservation, or for one that has ended.
        case idReused
        case unknownReservation
        /// Its time was over, and what it held went to others.
        case expired
    }

    /// All products, or those of `skus` that exist, in the order of their sku.
    func stock(of skus: [String]? = nil, now: Date = .now) async throws -> [Stock] {
        try await database.read { db in
            let rows = try Row.fetchAll(db, sql: "SELECT sku FROM product ORDER BY sku")
            return try rows.map { $0["sku"] as String }.filter { skus?.contains($0) ?? true }
                .compactMap { try Self.stock(of: $0, now: now, in: db) }
        }
    }

    /// Holds `qty` pieces under an id that the caller chose; sent again it gives the same reservation.
    func reserve(id: String, sku: String, qty: Int64, now: Date = .now) async throws -> Reservation {
        try await database.write { db in
            if let known = try Self.reservation(id, in: db) {
                guard known.sku == sku, known.qty == qty, known.status == .held else { throw Refusal.idReused }
                return known
            }
            guard let stock = try Self.stock(of: sku, now: now, in: db) else { throw Refusal.unknownSKU }
            guard stock.stock >= qty else { throw Refusal.outOfStock(left: stock.stock) }
            let expiresAt = now.timeIntervalSince1970 + Self.holdFor
            try Self.insert(
                Reservation(id: id, sku: sku, qty: qty, priceCents: stock.priceCents, status: .held, expiresAt: expiresAt), in: db)
            return Reservation(id: id, sku: sku, qty: qty, priceCents: stock.priceCents, status: .held, expiresAt: expiresAt)
        }
    }

    /// Takes what is held off the shelf; may be repeated.
    func confirm(id: String, now: Date = .now) async throws -> Reservation {
        try await database.write { db in
            guard var reservation = try Self.reservation(id, in: db) else { throw Refusal.unknownReservation }
            switch reservation.status {
            case .confirmed: return reservation
            case .released: throw Refusal.expired
            case .held: break
            }
            if reservation.expiresAt <= now.timeIntervalSince1970 {
                guard let left = try Self.stock(of: reservation.sku, now: now, in: db), left.stock >= reservation.qty
                else { throw Refusal.expired }
            }
            try db.execute(sql: "UPDATE product SET on_hand = on_hand - ? WHERE sku = ?", arguments: [reservation.qty, reservation.sku])
            try db.execute(sql: "UPDATE reservation SET status = 'confirmed' WHERE id = ?", arguments: [id])
            reservation.status = .confirmed
            return reservation
        }
    }

    /// Gives back what is held, and sees to it that a reservation that comes late is refused; may be repeated.
    func release(id: String) async throws {
        try await database.write { db in
            guard let reservation = try Self.reservation(id, in: db) else {
                try Self.insert(Reservation(id: id, sku: "", qty: 0, priceCents: 0, status: .released, expiresAt: 0), in: db)
                return
            }
            if reservation.status == .held {
                try db.execute(sql: "UPDATE reservation SET status = 'released' WHERE id = ?", arguments: [id])
            }
        }
    }

    /// What is held at this time.
    func held(now: Date = .now) async throws -> [Reservation] {
        try await database.read { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM reservation WHERE status = 'held' AND expires_at > ? ORDER BY id",
                arguments: [now.timeIntervalSince1970]
            ).map(Self.reservation)
        }
    }

    private static func stock(of sku: String, now: Date, in db: Database) throws -> Stock? {
        try Row.fetchOne(
            db,
            sql: """
                SELECT price_cents, on_hand - coalesce((
                    SELECT sum(qty) FROM reservation WHERE sku = product.sku AND status = 'held' AND expires_at > ?
                ), 0) AS stock FROM product WHERE sku = ?
                """, arguments: [now.timeIntervalSince1970, sku]
        ).map { Stock(sku: sku, stock: $0["stock"], priceCents: $0["price_cents"]) }
    }

    private static func reservation(_ id: String, in db: Database) throws -> Reservation? {
        try Row.fetchOne(db, sql: "SELECT * FROM reservation WHERE id = ?", arguments: [id]).map(reservation)
    }

    private static func reservation(_ row: Row) -> Reservation {
        Reservation(
            id: row["id"], sku: row["sku"], qty: row["qty"], priceCents: row["price_cents"],
            status: Reservation.Status(rawValue: row["status"]) ?? .released, expiresAt: row["expires_at"])
    }

    private static func insert(_ reservation: Reservation, in db: Database) throws {
        try db.execute(
            sql: "INSERT INTO reservation (id, sku, qty, price_cents, status, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
            arguments: [
                reservation.id, reservation.sku, reservation.qty, reservation.priceCents, reservation.status.rawValue,
                reservation.expiresAt,
            ])
    }
}

extension Inventory {
    static var migrations: DatabaseMigrator {
        var migrations = DatabaseMigrator()
        migrations.registerMigration("1 products and reservations") { db in
            try db.execute(
                sql: """
                    CREATE TABLE product (
                        sku TEXT PRIMARY KEY, on_hand INTEGER NOT NULL CHECK (on_hand >= 0), price_cents INTEGER NOT NULL CHECK (price_cents > 0)
                    ) STRICT;
                    CREATE TABLE reservation (
                        id TEXT PRIMARY KEY, sku TEXT NOT NULL, qty INTEGER NOT NULL, price_cents INTEGER NOT NULL, status TEXT NOT NULL,
                        expires_at REAL NOT NULL
                    ) STRICT;
                    CREATE INDEX reservation_held ON reservation (sku, expires_at) WHERE status = 'held';
                    """)
        }
        migrations.registerMigration("2 first stock") { db in
            let products: [(sku: String, onHand: Int64, priceCents: Int64)] = [
                ("coffee-dark", 400, 1290), ("coffee-decaf", 150, 1390), ("cup-espresso", 120, 890), ("filter-paper", 900, 349),
                ("grinder-hand", 35, 5900), ("kettle-steel", 25, 4990), ("mug-blue", 300, 1150), ("mug-white", 300, 1050),
                ("scale-brew", 10, 7900), ("tea-black", 500, 690), ("tea-green", 500, 790), ("tea-rooibos", 0, 650),
                ("teapot-glass", 40, 3450), ("thermos-small", 60, 2790),
            ]
            for product in products {
                try db.execute(
                    sql: "INSERT INTO product (sku, on_hand, price_cents) VALUES (?, ?, ?)",
                    arguments: [product.sku, product.onHand, product.priceCents])
            }
        }
        return migrations
    }

    static func open(folder: String) throws -> Inventory {
        Inventory(database: try ServiceDatabase.open(folder: folder, migrations: migrations))
    }
}
