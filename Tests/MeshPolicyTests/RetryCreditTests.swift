import MeshPolicy
import Testing

@Suite("Retry credit")
struct RetryCreditTests {
    @Test(
        "an attempt takes half of what is left with it, rounded up, or all of it through a proxy",
        arguments: [(0, 0, 0), (1, 1, 1), (2, 1, 2), (3, 2, 3), (4, 2, 4), (5, 3, 5), (100, 50, 100)])
    func delegates(row: (left: Int, half: Int, whole: Int)) {
        var half = RetryCredit(granted: row.left)
        var whole = RetryCredit(granted: row.left, share: .whole)
        let taken = (half.delegate(), whole.delegate())
        #expect(taken == (row.half, row.whole))
        #expect(half.left == row.left - row.half && whole.left == 0)
    }

    @Test(
        "what comes back unspent returns, and nobody spends more than he had",
        arguments: [(spent: 0, left: 3), (1, 2), (2, 1), (3, 1), (-1, 3), (.max, 1)])
    func settles(row: (spent: Int, left: Int)) {
        var credit = RetryCredit(granted: 3)
        let delegated = credit.delegate()
        credit.settle(delegated: delegated, spent: row.spent)
        #expect(delegated == 2 && credit.left == row.left && credit.spent == 3 - row.left)
    }

    @Test("is spent one by one, and then no more")
    func spends() {
        var credit = RetryCredit(granted: 2)
        #expect(credit.spend() && credit.spend() && !credit.spend())
        #expect(credit.left == 0 && credit.spent == 2)
        credit.giveBack()
        #expect(credit.left == 1)
    }

    @Test("calls side by side share it")
    func shared() {
        let credit = SharedRetryCredit(granted: 3)
        let parts = (0..<3).map { _ in credit.withCredit { $0.delegate() } }
        #expect(parts == [2, 1, 0] && credit.left == 0)
        credit.withCredit { $0.settle(delegated: 1, spent: 0) }
        #expect(credit.left == 1 && credit.spent == 2)
    }

    @Test("is bounded, whatever somebody writes into a field")
    func bounded() {
        #expect(RetryCredit(granted: .max).left == RetryCredit.most)
        #expect(RetryCredit(granted: -1).left == 0)
    }

    /// Each tier tries until its part is spent; the last one always fails.
    private func arrivals(_ credit: inout RetryCredit, tiersBelow: Int, share: RetryCredit.Share, isLost: Bool) -> Int {
        var count = 0
        repeat {
            let delegated = credit.delegate()
            var below = RetryCredit(granted: delegated, share: share)
            count += tiersBelow == 0 ? 1 : arrivals(&below, tiersBelow: tiersBelow - 1, share: share, isLost: isLost)
            credit.settle(delegated: delegated, spent: isLost ? delegated : tiersBelow == 0 ? 0 : below.spent)
        } while credit.spend()
        return count
    }

    @Test(
        "a chain of any length sees at most 1 + granted arrivals at its end, whether outcomes come back or not",
        arguments: 0...6, [false, true])
    func chain(granted: Int, isLost: Bool) {
        for tiers in 0...5 {
            for share in [RetryCredit.Share.half, .whole] {
                var credit = RetryCredit(granted: granted)
                let count = arrivals(&credit, tiersBelow: tiers, share: share, isLost: isLost)
                #expect(count <= 1 + granted)
                if !isLost { #expect(count == 1 + granted, "nothing is lost where all come back") }
            }
        }
    }
}
