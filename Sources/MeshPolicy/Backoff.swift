package import MeshModel

/// How long to wait before a retry: full jitter, `random(0, min(cap, base * 2^(n-1)))` before the n-th.
///
/// Source: Brooker, "Exponential Backoff And Jitter" (AWS, 2015); Envoy's retry back-off.
package enum Backoff {
    package static func longest(beforeRetry number: Int, policy: BackoffPolicy) -> Timespan {
        let doubled = policy.base.seconds * Double(1 << min(max(number - 1, 0), 30))
        return doubled >= policy.cap.seconds ? policy.cap : .seconds(doubled)
    }

    package static func span(beforeRetry number: Int, policy: BackoffPolicy, random: inout RandomSource) -> Timespan {
        longest(beforeRetry: number, policy: policy) * random.nextUnit()
    }
}
