import MeshExchange
import MeshModel
import MeshPolicy
import Testing

/// Endpoints that do worse than the others, and balancers other than the usual one.
@Suite("An edge's endpoints")
struct EjectionTests {
    private func policy(_ balance: BalancePolicy = .roundRobin, most: Double = 0.5) -> CallPolicy {
        var policy = CallPolicy()
        policy.balance = balance
        policy.retry = .none
        policy.breaker = nil
        policy.slowStart = .zero
        policy.eject = EjectionPolicy(most: most, interval: .seconds(10), minCalls: 10)
        return policy
    }

    /// Calls one after the other, each of a millisecond; who failed is `isBad`. Answers where they went.
    @discardableResult
    private func drive(_ destination: Destination, _ count: Int, from now: Instant, isBad: (Int) -> Bool = { _ in false }) -> [Int] {
        (0..<count).compactMap { number in
            let call = Call(to: destination, at: now + .milliseconds(Int64(number)), seed: UInt64(number + 1))
            let target = call.beginAndSend().start.map { Int($0.endpoint.endpoint.instance.low) }
            call.head(target.map(isBad) == true ? 500 : 200)
            call.end()
            return target
        }
    }

    private func ejected(_ destination: Destination, at now: Instant) -> [Int] {
        destination.statistics(now: now).endpoints.filter(\.isEjected).map { Int($0.instance.low) }
    }

    @Test("one that fails where the others do not is left alone for thirty seconds, and let in again")
    func ejects() throws {
        let destination = Destination.make(5, policy: policy())
        let start = Instant.zero + .seconds(1)
        drive(destination, 100, from: start, isBad: { $0 == 2 })
        #expect(ejected(destination, at: start).isEmpty, "rates are compared once in ten seconds")
        let after = Instant.zero + .seconds(11)
        #expect(!drive(destination, 50, from: after).contains(2) && ejected(destination, at: after) == [2])
        let event = try #require(destination.statistics(now: after).ejections.last)
        // Four at 1 and one at 0: mean 0.8, sigma 0.4.
        #expect(event.instance == InstanceID(high: 0, low: 2))
        guard case .ejected(successRate: 0, let threshold, for: .seconds(30)) = event.change else {
            Issue.record("\(event)")
            return
        }
        #expect(abs(threshold - (0.8 - 1.9 * 0.4)) < 1e-9)
        #expect(!drive(destination, 50, from: .zero + .seconds(40)).contains(2))
        #expect(drive(destination, 50, from: .zero + .seconds(42)).count { $0 == 2 } == 10)
        #expect(destination.statistics(now: after).ejections.last?.change == .readmitted)
    }

    @Test("few calls, few endpoints, or equal rates eject nobody", arguments: [(5, 40), (4, 100), (1, 100)])
    func nobody(row: (endpoints: Int, calls: Int)) {
        let destination = Destination.make(row.endpoints, policy: policy())
        drive(destination, row.calls, from: .zero + .seconds(1), isBad: { $0 == 1 })
        drive(destination, 1, from: .zero + .seconds(12))
        #expect(ejected(destination, at: .zero + .seconds(12)).isEmpty)
    }

    @Test("no more are out than were agreed, the worst first")
    func most() {
        var policy = policy(most: 0.1)
        policy.eject?.sigma = 0.1
        let destination = Destination.make(10, policy: policy)
        drive(destination, 200, from: .zero + .seconds(1), isBad: { $0 <= 3 })
        drive(destination, 1, from: .zero + .seconds(12))
        #expect(ejected(destination, at: .zero + .seconds(12)).count == 1)
    }

    @Test("with fewer than half left calls go to all, and that is said")
    func panic() {
        var policy = policy(most: 1)
        policy.eject?.sigma = 0.5
        let destination = Destination.make(6, policy: policy)
        drive(destination, 120, from: .zero + .seconds(1), isBad: { $0 <= 3 })
        let later = Instant.zero + .seconds(12)
        #expect(Set(drive(destination, 30, from: later)) == [4, 5, 6])
        #expect(ejected(destination, at: later) == [1, 2, 3] && !destination.statistics(now: later).isPanicking)
        // One of the good half goes: two of five are fewer than half.
        let smaller = Destination.make(5, policy: policy, after: destination, now: later)
        #expect(smaller.statistics(now: later).isPanicking)
        #expect(Set(drive(smaller, 30, from: later)) == [1, 2, 3, 4, 5])
        #expect(smaller.statistics(now: later).ejections.last?.change == .panicBegan(left: 2, of: 5))
        // It comes back.
        let again = Destination.make(6, policy: policy, after: smaller, now: later)
        #expect(Set(drive(again, 30, from: later)) == [4, 5, 6] && again.statistics(now: later).ejections.last?.change == .panicEnded)
    }

    @Test("switched off, everyone is in again")
    func off() {
        let destination = Destination.make(5, policy: policy())
        drive(destination, 100, from: .zero + .seconds(1), isBad: { $0 == 2 })
        drive(destination, 1, from: .zero + .seconds(12))
        var without = policy()
        without.eject = nil
        let next = Destination.make(5, policy: without, after: destination, now: .zero + .seconds(12))
        #expect(Set(drive(next, 10, from: .zero + .seconds(12))) == [1, 2, 3, 4, 5])
    }

    // MARK: Balancers

    @Test("take turns, by weight")
    func roundRobin() {
        #expect(drive(.make(3, policy: policy()), 6, from: .zero) == [1, 2, 3, 1, 2, 3])
        let weighted = Destination.make(3, policy: policy()) { $0[0].weight = 5 }
        #expect(drive(weighted, 7, from: .zero) == [1, 1, 2, 1, 3, 1, 1])
    }

    @Test("get fewer calls while they have more under way")
    func leastRequests() {
        let destination = Destination.make(2, policy: policy(.leastRequests))
        var open: [Call] = []
        for seed in 1...10 {
            open.append(Call(to: destination, seed: UInt64(seed)))
            open.last?.begin()
        }
        // Of two, two choices are all of them.
        #expect(destination.statistics(now: .zero).endpoints.map(\.inFlight) == [5, 5])
    }

    @Test("are the same for the same value, until they are down or full")
    func hash() {
        var down: Set<Int> = []
        let policy = policy(.hash(on: .header(name: "x-user")))
        let destination = Destination.make(8, policy: policy)
        func target(_ value: String, of destination: Destination) -> (Int?, Call) {
            let call = Call(to: destination, affinity: HashRing.hash(value.utf8))
            let target = call.begin().start.map { Int($0.endpoint.endpoint.instance.low) }
            return (target, call)
        }
        let homes = (0..<40).map { number -> Int? in
            let (home, call) = target("user-\(number)", of: destination)
            call.leave()
            return home
        }
        #expect(Set(homes).count > 4)
        for number in 0..<40 {
            let (home, call) = target("user-\(number)", of: destination)
            #expect(home == homes[number])
            call.leave()
        }
        // One value that everybody asks for: nobody has more than a quarter above his share.
        let crowd = (0..<80).map { _ in target("popular", of: destination) }
        #expect(destination.statistics(now: .zero).endpoints.allSatisfy { $0.inFlight <= 13 })
        for (_, call) in crowd { call.leave() }
        down.insert(homes[0]!)
        let without = Destination.make(8, policy: policy, after: destination) { endpoints in
            for index in endpoints.indices where down.contains(index + 1) { endpoints[index].draining = true }
        }
        for number in 0..<40 {
            let (home, call) = target("user-\(number)", of: without)
            #expect(home == homes[number] || homes[number] == homes[0] && home != homes[0])
            call.leave()
        }
    }
}
