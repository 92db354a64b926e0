import GRDB
import ShopKit

/// What the products are called and said to be, with full-text search.
struct ProductIndex: Sendable {
    let database: any DatabaseWriter
    /// Search counts a word in the name ten times as much as one in the description.
    let ranked: Bool

    struct Product: Hashable, Sendable, Codable, FetchableRecord {
        var sku: String
        var name: String
    }

    func all() async throws -> [Product] {
        try await database.read { try Product.fetchAll($0, sql: "SELECT sku, name FROM product ORDER BY sku") }
    }

    func product(_ sku: String) async throws -> Product? {
        try await database.read { try Product.fetchOne($0, sql: "SELECT sku, name FROM product WHERE sku = ?", arguments: [sku]) }
    }

    /// Products that hold every word of `text`, by their beginnings, best first; none for a text without a word.
    func search(_ text: String) async throws -> [Product] {
        guard let pattern = FTS5Pattern(matchingAllPrefixesIn: text) else { return [] }
        let order = ranked ? "bm25(product, 0, 10.0, 1.0)" : "rank"
        return try await database.read { db in
            try Product.fetchAll(
                db, sql: "SELECT sku, name FROM product WHERE product MATCH ? ORDER BY \(order), sku", arguments: [pattern])
        }
    }

    static var migrations: DatabaseMigrator {
        var migrations = DatabaseMigrator()
        migrations.registerMigration("1 products") { db in
            try db.execute(
                sql: "CREATE VIRTUAL TABLE product USING fts5(sku UNINDEXED, name, description, tokenize = 'porter unicode61')")
            let products: [(sku: String, name: String, description: String)] = [
                ("coffee-dark", "Dark roast coffee", "Whole beans, chocolate and nuts, for espresso"),
                ("coffee-decaf", "Decaffeinated coffee", "Whole beans, mild, washed with water"),
                ("cup-espresso", "Espresso cup", "Thick porcelain, 60 ml"),
                ("filter-paper", "Paper filters", "Hundred filters for pour-over coffee"),
                ("grinder-hand", "Hand grinder", "Steel burrs, for coffee on the road"),
                ("kettle-steel", "Steel kettle", "Goose neck, for tea and pour-over coffee"),
                ("mug-blue", "Blue mug", "Stoneware, 300 ml"),
                ("mug-white", "White mug", "Stoneware, 300 ml"),
                ("scale-brew", "Brewing scale", "A tenth of a gram, with a timer"),
                ("tea-black", "Black tea", "Loose leaves, strong, takes milk well"),
                ("tea-green", "Green tea", "Loose leaves, steamed, fresh"),
                ("tea-rooibos", "Rooibos tea", "Without caffeine, sweet"),
                ("teapot-glass", "Glass teapot", "One litre, with a strainer for loose tea"),
                ("thermos-small", "Small thermos", "Keeps tea or coffee hot for six hours"),
            ]
            for product in products {
                try db.execute(
                    sql: "INSERT INTO product (sku, name, description) VALUES (?, ?, ?)",
                    arguments: [product.sku, product.name, product.description])
            }
        }
        return migrations
    }

    static func open(folder: String, ranked: Bool) throws -> ProductIndex {
        ProductIndex(database: try ServiceDatabase.open(folder: folder, migrations: migrations), ranked: ranked)
    }
}
