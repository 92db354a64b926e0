import GRDB
import Testing

@testable import catalog
@testable import inventory
@testable import ledger

/// What the services' first data promise to each other.
@Suite struct SeedTests {
    @Test func everyProductHasAPlaceOnTheShelf() async throws {
        let shelves = try DatabaseQueue()
        try Inventory.migrations.migrate(shelves)
        let names = try DatabaseQueue()
        try ProductIndex.migrations.migrate(names)
        let onShelf = try await Inventory(database: shelves).stock().map(\.sku)
        #expect(try await ProductIndex(database: names, ranked: false).all().map(\.sku) == onShelf)
    }

    @Test func customerOneCanPayForTheWholeStock() async throws {
        let shelves = try DatabaseQueue()
        try Inventory.migrations.migrate(shelves)
        let books = try DatabaseQueue()
        try Ledger.migrations.migrate(books)
        let worth = try await Inventory(database: shelves).stock().reduce(0) { $0 + $1.stock * $1.priceCents }
        #expect(try #require(try await Ledger(database: books).account("1")).balanceCents >= worth)
    }
}
