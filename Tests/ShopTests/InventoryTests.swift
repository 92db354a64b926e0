import Foundation
import GRDB
import Testing

@testable import inventory

@Suite struct InventoryTests {
    private let noon = Date(timeIntervalSince1970: 1_000_000)

    private func shelves() throws -> Inventory {
        let queue = try DatabaseQueue()
        try Inventory.migrations.migrate(queue)
        return Inventory(database: queue)
    }

    private func stock(_ inventory: Inventory, at time: Date) async throws -> Int64? {
        try await inventory.stock(of: ["scale-brew"], now: time).first?.stock
    }

    @Test func theFirstStockIsAsTheShopPromises() async throws {
        let stock = try await shelves().stock(now: noon)
        #expect(stock.count >= 12)
        #expect(stock.contains { $0.stock == 10 })
        #expect(stock.allSatisfy { $0.stock == 0 || $0.stock >= 10 })
    }

    @Test func whatIsHeldIsNoLongerInStock() async throws {
        let inventory = try shelves()
        _ = try await inventory.reserve(id: "a", sku: "scale-brew", qty: 4, now: noon)
        #expect(try await stock(inventory, at: noon) == 6)
        _ = try await inventory.confirm(id: "a", now: noon)
        #expect(try await stock(inventory, at: noon) == 6)
        #expect(try await inventory.held(now: noon).isEmpty)
    }

    @Test func noMoreThanIsThereCanBeHeld() async throws {
        let inventory = try shelves()
        _ = try await inventory.reserve(id: "a", sku: "scale-brew", qty: 10, now: noon)
        await #expect(throws: Inventory.Refusal.outOfStock(left: 0)) {
            try await inventory.reserve(id: "b", sku: "scale-brew", qty: 1, now: noon)
        }
        await #expect(throws: Inventory.Refusal.unknownSKU) { try await inventory.reserve(id: "c", sku: "none", qty: 1, now: noon) }
    }

    @Test func askingAgainGivesTheSameReservation() async throws {
        let inventory = try shelves()
        let first = try await inventory.reserve(id: "a", sku: "scale-brew", qty: 3, now: noon)
        #expect(try await inventory.reserve(id: "a", sku: "scale-brew", qty: 3, now: noon) == first)
        #expect(try await stock(inventory, at: noon) == 7)
        await #expect(throws: Inventory.Refusal.idReused) { try await inventory.reserve(id: "a", sku: "scale-brew", qty: 4, now: noon) }
    }

    @Test func releasingGivesBackOnceAndConfirmingIsFinal() async throws {
        let inventory = try shelves()
        _ = try await inventory.reserve(id: "a", sku: "scale-brew", qty: 3, now: noon)
        try await inventory.release(id: "a")
        try await inventory.release(id: "a")
        #expect(try await stock(inventory, at: noon) == 10)
        await #expect(throws: Inventory.Refusal.expired) { try await inventory.confirm(id: "a", now: noon) }
        _ = try await inventory.reserve(id: "b", sku: "scale-brew", qty: 3, now: noon)
        _ = try await inventory.confirm(id: "b", now: noon)
        _ = try await inventory.confirm(id: "b", now: noon)
        try await inventory.release(id: "b")
        #expect(try await stock(inventory, at: noon) == 7)
    }

    @Test func aReservationThatComesAfterItsReleaseIsRefused() async throws {
        let inventory = try shelves()
        try await inventory.release(id: "late")
        await #expect(throws: Inventory.Refusal.idReused) { try await inventory.reserve(id: "late", sku: "scale-brew", qty: 1, now: noon) }
        #expect(try await stock(inventory, at: noon) == 10)
    }

    @Test func aHoldEndsWithItsTime() async throws {
        let inventory = try shelves()
        _ = try await inventory.reserve(id: "a", sku: "scale-brew", qty: 10, now: noon)
        let later = noon + Inventory.holdFor + 1
        #expect(try await stock(inventory, at: later) == 10)
        _ = try await inventory.reserve(id: "b", sku: "scale-brew", qty: 10, now: later)
        await #expect(throws: Inventory.Refusal.expired) { try await inventory.confirm(id: "a", now: later) }
    }

    @Test func fiftyAtOnceForTenPiecesGiveTen() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "inventory-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let replicas = [
            try Inventory.open(folder: folder.path(percentEncoded: false)), try Inventory.open(folder: folder.path(percentEncoded: false)),
        ]
        let held = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<50 {
                group.addTask {
                    (try? await replicas[number % 2].reserve(id: "r\(number)", sku: "scale-brew", qty: 1, now: noon)) != nil
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(held == 10)
        #expect(try await stock(replicas[0], at: noon) == 0)
    }
}
