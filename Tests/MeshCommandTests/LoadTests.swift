import ArgumentParser
import Testing

@testable import mesh

@Suite struct LoadTests {
    @Test func percentilesAreRightToAThousandth() {
        var histogram = HDRHistogram()
        #expect(histogram.value(at: 0.5) == nil && histogram.mean == nil)
        for value in 1...100_000 { histogram.record(microseconds: UInt64(value)) }
        for share in [0.01, 0.5, 0.9, 0.99, 0.999, 1] {
            let exact = share * 100_000
            let found = Double(histogram.value(at: share) ?? 0)
            #expect(found >= exact && found <= exact * 1.001 + 1, "\(share): \(found)")
        }
        #expect(histogram.mean == 50_000.5 && histogram.highest == 100_000)
        histogram.record(microseconds: .max)
        #expect(histogram.value(at: 1) == 86_400_000_000)
        var small = HDRHistogram()
        for value in [0, 1, 2047, 2048, 2049] { small.record(microseconds: UInt64(value)) }
        #expect(small.value(at: 0.2) == 0 && small.value(at: 0.6) == 2047 && small.value(at: 1) == 2049)
    }

    @Test(arguments: [
        ["load"], ["load", "GET"], ["load", "GET", "/", "--rate", "0"], ["load", "GET", "/", "--rate", "5/m"],
        ["load", "GET", "/", "--for", "10"],
        ["load", "GET", "/", "--connections", "0"], ["fault", "orders"], ["fault", "orders", "ledger"], ["fault", "--abort", "503"],
        ["fault", "orders", "ledger", "--abort", "200"], ["fault", "orders", "ledger", "--abort", "503", "--reset"],
        ["fault", "orders", "ledger", "--reset", "--share", "0%"], ["fault", "orders", "ledger", "--delay", "3"], ["why", "orders"],
        ["fault", "orders", "ledger", "--off", "--reset"], ["fault", "orders", "ledger", "--reset", "--for", "25h"],
    ])
    func wrongUseIsTold(line: [String]) {
        let error = #expect(throws: (any Error).self) { try MeshCommand.parseAsRoot(line) }
        #expect(error.map { MeshCommand.exitCode(for: $0) } == .validationFailure)
    }

    @Test func arguments() throws {
        let load = try #require(try MeshCommand.parseAsRoot(["load", "POST /orders", "--rate", "500/s", "--for", "1m"]) as? LoadCommand)
        #expect(load.rate.perSecond == 500 && load.duration.milliseconds == 60_000)
        let fault = try #require(
            try MeshCommand.parseAsRoot(["fault", "orders", "ledger", "--delay", "1.5s", "--share", "20%", "--for", "30s"]) as? FaultCommand
        )
        #expect(fault.delay?.milliseconds == 1500 && fault.share.share == 0.2 && fault.lasts.milliseconds == 30_000)
        _ = try MeshCommand.parseAsRoot(["fault"])
        _ = try MeshCommand.parseAsRoot(["fault", "--off"])
    }
}
