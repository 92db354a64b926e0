import GRDB
import Testing

@testable import catalog

@Suite struct ProductIndexTests {
    private func index(ranked: Bool = false) throws -> ProductIndex {
        let queue = try DatabaseQueue()
        try ProductIndex.migrations.migrate(queue)
        return ProductIndex(database: queue, ranked: ranked)
    }

    @Test func findsByNameAndDescriptionAndByTheBeginningsOfWords() async throws {
        let index = try index()
        #expect(try await index.search("espresso").map(\.sku).sorted() == ["coffee-dark", "cup-espresso"])
        #expect(try await index.search("thermo").map(\.sku) == ["thermos-small"])
        #expect(try await index.search("green tea").map(\.sku) == ["tea-green"])
    }

    @Test(arguments: ["\"", "*", "AND OR NOT", "tea\" OR 1", "-", "(", ""])
    func textIsNeverASyntaxError(text: String) async throws {
        _ = try await index().search(text)
    }

    @Test func rankedPutsNamesFirst() async throws {
        let found = try await index(ranked: true).search("tea").map(\.sku)
        #expect(Set(found.prefix(3)) == ["tea-black", "tea-green", "tea-rooibos"])
    }

    @Test func knowsItsProducts() async throws {
        #expect(try await index().all().count >= 12)
        #expect(try await index().product("mug-blue")?.name == "Blue mug")
        #expect(try await index().product("none") == nil)
    }
}
