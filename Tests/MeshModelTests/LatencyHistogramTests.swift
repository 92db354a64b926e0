import MeshModel
import Testing

@Suite("Latency histogram")
struct LatencyHistogramTests {
    @Test func isEmptyAtFirst() {
        #expect(LatencyHistogram().quantile(0.5) == nil)
        #expect(LatencyHistogram().rank(of: .seconds(1)) == nil)
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func quantilesAreWithinAnEighth(seed: UInt64) throws {
        var random = RandomSource(seed: seed)
        var histogram = LatencyHistogram()
        var values: [Int64] = []
        for _ in 0..<500 {
            let value = Int64(random.next() >> UInt64(24 + random.next(below: 26))) + 8_000
            values.append(value)
            histogram.record(.nanoseconds(value))
        }
        values.sort()
        for share in [0.01, 0.5, 0.9, 0.99, 1.0] {
            let exact = values[max(0, Int((share * 500).rounded(.up)) - 1)]
            let said = try #require(histogram.quantile(share)).nanoseconds
            #expect(said >= exact)
            #expect(Double(said) <= Double(exact) * 1.126 + 1_000)
        }
    }

    @Test func ranksCountWhatIsLess() throws {
        var histogram = LatencyHistogram()
        for milliseconds in 1...100 { histogram.record(.milliseconds(Int64(milliseconds))) }
        #expect(try #require(histogram.rank(of: .seconds(10))) == 1)
        #expect(try #require(histogram.rank(of: .zero)) == 0)
        #expect(abs(try #require(histogram.rank(of: .milliseconds(50))) - 0.5) < 0.07)
        var twice = histogram
        twice.merge(histogram)
        #expect(twice.total == 200)
        #expect(twice.rank(of: .milliseconds(50)) == histogram.rank(of: .milliseconds(50)))
    }

    @Test func longAndNegativeTimesStayInBounds() {
        var histogram = LatencyHistogram()
        histogram.record(.nanoseconds(-5))
        histogram.record(.nanoseconds(.max))
        #expect(histogram.total == 2)
        #expect(histogram.quantile(0) == .microseconds(1))
    }
}
