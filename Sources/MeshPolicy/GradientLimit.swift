package import MeshModel

/// How many requests may be under way at once, found from how long they take: when they take longer than they used to, there are too many.
///
/// Once a window: `g = clamp(1.5 * long / short, 0.5, 1)`, `L = 0.8 L + 0.2 (g L + 4)`, where `short` is the window's mean and `long` an
/// exponential average over 600 windows. It does not grow while less than half of it is used, since then nothing is learnt, and a long
/// average of more than twice the short one comes down faster, so that a recovery is believed.
/// Source: Netflix concurrency-limits, `Gradient2Limit`, in windows as its `WindowedLimit` makes them; there are no probe windows.
package struct GradientLimit: Sendable {
    package static let initial = 20.0
    package static let least = 20.0
    package static let most = 1000.0
    static let tolerance = 1.5
    static let smoothing = 0.2
    static let queue = 4.0
    static let longWindows = 600.0
    static let warmUpWindows = 10
    package static let window = Timespan.milliseconds(100)
    /// A window goes on until it has seen as many.
    package static let leastSamples = 10

    package private(set) var limit = initial
    private var long = 0.0
    private var windows = 0
    private var windowSum = 0.0
    private var windowSamples = 0
    private var windowPeak = 0
    private var windowEnds: Instant

    package init(now: Instant) { windowEnds = now + Self.window }

    /// A request was served.
    ///
    /// - Parameter inFlight: how many were under way then, itself included.
    package mutating func served(in span: Timespan, inFlight: Int, now: Instant) {
        windowSum += Double(span.nanoseconds)
        windowSamples += 1
        windowPeak = max(windowPeak, inFlight)
        guard now >= windowEnds, windowSamples >= Self.leastSamples else { return }
        windowEnded(mean: windowSum / Double(windowSamples), peak: windowPeak)
        windowSum = 0
        windowSamples = 0
        windowPeak = 0
        windowEnds = now + Self.window
    }

    /// The step by itself, for one window.
    package mutating func windowEnded(mean short: Double, peak: Int) {
        guard short > 0 else { return }
        windows += 1
        if windows <= Self.warmUpWindows {
            long += (short - long) / Double(windows)
        } else {
            long += (short - long) * 2 / (Self.longWindows + 1)
        }
        if long / short > 2 { long *= 0.95 }
        guard Double(peak) >= limit / 2 else { return }
        let gradient = max(0.5, min(1, Self.tolerance * long / short))
        let next = (1 - Self.smoothing) * limit + Self.smoothing * (gradient * limit + Self.queue)
        limit = max(Self.least, min(Self.most, next))
    }
}
