/// e to the power of -x for x >= 0, without a C library: 2^-n by the exponent's bits and a polynomial for what is left.
///
/// Error below 1e-7, relative. Zero from 700 on.
@inlinable
package func exponentialDecay(_ x: Double) -> Double {
    guard x > 0 else { return 1 }
    // Mostly little time has passed: the series' first three terms are exact enough.
    if x < 0x1p-8 { return 1 - x * (1 - x / 2) }
    guard x < 700 else { return 0 }
    let exponent = x * 1.442_695_040_888_963_4
    let whole = exponent.rounded(.down)
    let y = (exponent - whole) * 0.693_147_180_559_945_3
    // Taylor's series of e^-y on [0, ln 2), by Horner's rule.
    let fraction =
        1 - y * (1 - y / 2 * (1 - y / 3 * (1 - y / 4 * (1 - y / 5 * (1 - y / 6 * (1 - y / 7 * (1 - y / 8)))))))
    return fraction * Double(bitPattern: UInt64(1023 - Int64(whole)) << 52)
}
