import Foundation
import GRDB
import ShopKit

/// Accounts and the payments between them, kept by double entry.
///
/// Invariants: the postings of every payment sum to zero, and so do all postings together; a customer's balance never falls
/// below zero; one key stands for one payment, however often it is sent.
struct Ledger: Sendable {
    static let storeAccount = "store"
    static let openingAccount = "opening"

    let database: any DatabaseWriter

    struct Payment: Codable, Hashable, Sendable {
        var id: String
        var customer: String
        var amountCents: Int64
        var reference: String
        var status: Status

        enum Status: String, Codable, Sendable { case posted, reversed }
        enum CodingKeys: String, CodingKey {
            case id, customer, reference, status
            case amountCents = "amount_cents"
        }
    }

    struct Account: Codable, Hashable, Sendable {
        var id: String
        var balanceCents: Int64

        enum CodingKeys: String, CodingKey {
            case id
            case balanceCents = "balance_cents"
        }
    }

    enum Refusal: Error, Hashable {
        case unknownAccount
        case insufficientFunds(balanceCents: Int64)
        /// The key was used before for another payment.
        case keyReused
        /// The payment was cancelled before it came.
        case cancelled
    }

    /// A payment's id follows from its key, so that it can be cancelled also by one who never saw the answer.
    static func id(ofKey key: String) -> String { "pay-\(key)" }

    /// Moves money from a customer's account to the store's; sent again with the same key it gives the same payment.
    func pay(key: String, customer: String, amountCents: Int64, reference: String) async throws -> Payment {
        let payment = Payment(id: Self.id(ofKey: key), customer: customer, amountCents: amountCents, reference: reference, status: .posted)
        return try await database.write { db in
            if let known = try Self.payment(payment.id, in: db) {
                guard known.status == .posted else { throw Refusal.cancelled }
                guard known == payment else { throw Refusal.keyReused }
                return known
            }
            if try Bool.fetchOne(db, sql: "SELECT EXISTS (SELECT 1 FROM cancelled WHERE id = ?)", arguments: [payment.id]) == true {
                throw Refusal.cancelled
            }
            guard let balance = try Self.balance(of: customer, in: db), customer != Self.storeAccount, customer != Self.openingAccount
            else { throw Refusal.unknownAccount }
            guard balance >= amountCents else { throw Refusal.insufficientFunds(balanceCents: balance) }
            try db.execute(
                sql: "INSERT INTO payment (id, customer, amount_cents, reference, status) VALUES (?, ?, ?, ?, ?)",
                arguments: [payment.id, customer, amountCents, reference, payment.status.rawValue])
            try Self.post(payment.id, [(customer, -amountCents), (Self.storeAccount, amountCents)], in: db)
            return payment
        }
    }

    /// Takes a payment back, and sees to it that one which comes late is refused; may be repeated.
    func cancel(paymentID: String) async throws {
        try await database.write { db in
            guard let payment = try Self.payment(paymentID, in: db) else {
                try db.execute(sql: "INSERT OR IGNORE INTO cancelled (id) VALUES (?)", arguments: [paymentID])
                return
            }
            guard payment.status == .posted else { return }
            try db.execute(sql: "UPDATE payment SET status = ? WHERE id = ?", arguments: [Payment.Status.reversed.rawValue, paymentID])
            try Self.post(
                paymentID, [(payment.customer, payment.amountCents), (Self.storeAccount, -payment.amountCents)], in: db)
        }
    }

    func payment(_ id: String) async throws -> Payment? { try await database.read { try Self.payment(id, in: $0) } }

    func account(_ id: String) async throws -> Account? {
        try await database.read { db in try Self.balance(of: id, in: db).map { Account(id: id, balanceCents: $0) } }
    }

    /// The sum of all postings: zero, or the books are wrong.
    func balance() async throws -> Int64 {
        try await database.read { try Int64.fetchOne($0, sql: "SELECT coalesce(sum(amount_cents), 0) FROM posting") ?? 0 }
    }

    private static func payment(_ id: String, in db: Database) throws -> Payment? {
        try Row.fetchOne(db, sql: "SELECT * FROM payment WHERE id = ?", arguments: [id]).map { row in
            Payment(
                id: row["id"], customer: row["customer"], amountCents: row["amount_cents"], reference: row["reference"],
                status: Payment.Status(rawValue: row["status"]) ?? .reversed)
        }
    }

    private static func balance(of account: String, in db: Database) throws -> Int64? {
        try Int64.fetchOne(
            db,
            sql: """
                SELECT coalesce((SELECT sum(amount_cents) FROM posting WHERE account = account.id), 0) FROM account WHERE id = ?
                """, arguments: [account])
    }

    private static func post(_ payment: String, _ postings: [(account: String, amountCents: Int64)], in db: Database) throws {
        precondition(postings.reduce(0) { $0 + $1.amountCents } == 0, "postings of one payment sum to zero")
        for posting in postings {
            try db.execute(
                sql: "INSERT INTO posting (payment, account, amount_cents) VALUES (?, ?, ?)",
                arguments: [payment, posting.account, posting.amountCents])
        }
    }
}

extension Ledger {
    static var migrations: DatabaseMigrator {
        var migrations = DatabaseMigrator()
        migrations.registerMigration("1 accounts and postings") { db in
            try db.execute(
                sql: """
                    CREATE TABLE account (id TEXT PRIMARY KEY) STRICT;
                    CREATE TABLE payment (
                        id TEXT PRIMARY KEY, customer TEXT NOT NULL REFERENCES account, amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
                        reference TEXT NOT NULL, status TEXT NOT NULL
                    ) STRICT;
                    CREATE TABLE cancelled (id TEXT PRIMARY KEY) STRICT;
                    CREATE TABLE posting (
                        number INTEGER PRIMARY KEY, payment TEXT NOT NULL, account TEXT NOT NULL REFERENCES account,
                        amount_cents INTEGER NOT NULL
                    ) STRICT;
                    CREATE INDEX posting_by_account ON posting (account, amount_cents);
                    """)
        }
        migrations.registerMigration("2 opening balances") { db in
            // Customer 1 can buy the whole stock; customer 5 can pay for next to nothing.
            let opening: [(String, Int64)] = [("1", 100_000_000), ("2", 250_000), ("3", 50_000), ("4", 10_000), ("5", 100)]
            for account in [storeAccount, openingAccount] + opening.map(\.0) {
                try db.execute(sql: "INSERT INTO account (id) VALUES (?)", arguments: [account])
            }
            for (customer, cents) in opening { try post("opening", [(customer, cents), (openingAccount, -cents)], in: db) }
        }
        return migrations
    }

    static func open(folder: String) throws -> Ledger {
        Ledger(database: try ServiceDatabase.open(folder: folder, migrations: migrations))
    }
}
