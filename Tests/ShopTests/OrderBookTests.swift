import Foundation
import GRDB
import Testing

@testable import orders

@Suite struct OrderBookTests {
    private let noon = Date(timeIntervalSince1970: 1_000_000)
    private let order = OrderBook.Order(
        id: "o1", customer: "1", items: [.init(sku: "tea-green", qty: 2)], totalCents: 0, status: .pending)

    private func book() throws -> OrderBook {
        let queue = try DatabaseQueue()
        try OrderBook.migrations.migrate(queue)
        return OrderBook(database: queue)
    }

    @Test func anOrderUnderWayIsNeitherShownNorTakenByOthers() async throws {
        let book = try book()
        try await book.begin(order, now: noon)
        #expect(try await book.confirmed("o1") == nil)
        #expect(try await book.takeUnfinished(now: noon + 1) == nil)
        #expect(try await book.countUnfinished() == 1)
    }

    @Test func anOrderLeftBehindIsUndoneByOneTaker() async throws {
        let book = try book()
        try await book.begin(order, now: noon)
        let later = noon + OrderBook.leaseFor + 1
        #expect(try await book.takeUnfinished(now: later) == .init(order: order, compensation: .undo))
        #expect(try await book.takeUnfinished(now: later) == nil)
        try await book.finished("o1", as: .cancelled)
        #expect(try await book.countUnfinished() == 0)
        #expect(try await book.confirmed("o1") == nil)
    }

    @Test func aPaidOrderIsFinishedForwards() async throws {
        let book = try book()
        try await book.begin(order, now: noon)
        var paid = order
        paid.totalCents = 1580
        try await book.paid(paid)
        #expect(try await book.confirmed("o1")?.totalCents == 1580)
        try await book.abandoned("o1", now: noon)
        #expect(try await book.takeUnfinished(now: noon)?.compensation == .confirm)
        try await book.finished("o1", as: .confirmed)
        #expect(try await book.takeUnfinished(now: .distantFuture) == nil)
    }

    @Test func aTakenOrderComesBackWhenItsTakerIsGone() async throws {
        let book = try book()
        try await book.begin(order, now: noon)
        let first = noon + OrderBook.leaseFor + 1
        #expect(try await book.takeUnfinished(now: first) != nil)
        #expect(try await book.takeUnfinished(now: first + OrderBook.leaseFor + 1) != nil)
    }
}
