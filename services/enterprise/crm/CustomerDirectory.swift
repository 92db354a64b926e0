import GRDB
import ShopKit

/// Who the customers are.
struct CustomerDirectory: Sendable {
    let database: any DatabaseWriter

    struct Customer: Codable, Hashable, Sendable, FetchableRecord {
        var id: String
        var name: String
        var email: String
    }

    func customer(_ id: String) async throws -> Customer? {
        try await database.read { try Customer.fetchOne($0, sql: "SELECT id, name, email FROM customer WHERE id = ?", arguments: [id]) }
    }

    static var migrations: DatabaseMigrator {
        var migrations = DatabaseMigrator()
        migrations.registerMigration("1 customers") { db in
            try db.execute(sql: "CREATE TABLE customer (id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL) STRICT")
            for number in 1...5 {
                try db.execute(
                    sql: "INSERT INTO customer (id, name, email) VALUES (?, ?, ?)",
                    arguments: ["\(number)", "Customer \(number)", "customer-\(number)@shop.example"])
            }
        }
        return migrations
    }

    static func open(folder: String) throws -> CustomerDirectory {
        CustomerDirectory(database: try ServiceDatabase.open(folder: folder, migrations: migrations))
    }
}
