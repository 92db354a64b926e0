import GRDB
import Testing

@testable import ledger

@Suite struct LedgerTests {
    private func books() throws -> Ledger {
        let queue = try DatabaseQueue()
        try Ledger.migrations.migrate(queue)
        return Ledger(database: queue)
    }

    @Test func aPaymentMovesMoneyAndTheBooksSumToZero() async throws {
        let ledger = try books()
        let before = try #require(try await ledger.account("2")).balanceCents
        let payment = try await ledger.pay(key: "k1", customer: "2", amountCents: 1500, reference: "order")
        #expect(payment.id == "pay-k1" && payment.status == .posted)
        #expect(try await ledger.account("2")?.balanceCents == before - 1500)
        #expect(try await ledger.account(Ledger.storeAccount)?.balanceCents == 1500)
        #expect(try await ledger.balance() == 0)
    }

    @Test func theSameKeyIsTheSamePayment() async throws {
        let ledger = try books()
        let first = try await ledger.pay(key: "k1", customer: "2", amountCents: 1500, reference: "order")
        let again = try await ledger.pay(key: "k1", customer: "2", amountCents: 1500, reference: "order")
        #expect(first == again)
        #expect(try await ledger.account(Ledger.storeAccount)?.balanceCents == 1500)
        await #expect(throws: Ledger.Refusal.keyReused) {
            try await ledger.pay(key: "k1", customer: "2", amountCents: 1600, reference: "order")
        }
    }

    @Test func anAccountIsNeverOverdrawn() async throws {
        let ledger = try books()
        let balance = try #require(try await ledger.account("5")).balanceCents
        await #expect(throws: Ledger.Refusal.insufficientFunds(balanceCents: balance)) {
            try await ledger.pay(key: "k1", customer: "5", amountCents: balance + 1, reference: "order")
        }
        #expect(try await ledger.account("5")?.balanceCents == balance)
        #expect(try await ledger.payment("pay-k1") == nil)
    }

    @Test(arguments: ["nobody", Ledger.storeAccount, Ledger.openingAccount])
    func onlyCustomersPay(account: String) async throws {
        let ledger = try books()
        await #expect(throws: Ledger.Refusal.unknownAccount) {
            try await ledger.pay(key: "k1", customer: account, amountCents: 1, reference: "order")
        }
    }

    @Test func cancellingGivesTheMoneyBackOnce() async throws {
        let ledger = try books()
        let before = try await ledger.account("2")
        _ = try await ledger.pay(key: "k1", customer: "2", amountCents: 1500, reference: "order")
        try await ledger.cancel(paymentID: "pay-k1")
        try await ledger.cancel(paymentID: "pay-k1")
        #expect(try await ledger.account("2") == before)
        #expect(try await ledger.payment("pay-k1")?.status == .reversed)
        #expect(try await ledger.balance() == 0)
    }

    @Test func aPaymentThatComesAfterItsCancellationIsRefused() async throws {
        let ledger = try books()
        try await ledger.cancel(paymentID: "pay-k1")
        await #expect(throws: Ledger.Refusal.cancelled) {
            try await ledger.pay(key: "k1", customer: "2", amountCents: 1500, reference: "order")
        }
        _ = try await ledger.pay(key: "k2", customer: "2", amountCents: 1500, reference: "order")
        try await ledger.cancel(paymentID: "pay-k2")
        await #expect(throws: Ledger.Refusal.cancelled) {
            try await ledger.pay(key: "k2", customer: "2", amountCents: 1500, reference: "order")
        }
    }
}
