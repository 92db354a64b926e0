/// Reads the values of fields that carry numbers and times.
package enum FieldValue {
    /// `1*DIGIT`; nil for anything else and for what 64 bits do not hold.
    package static func decimal(_ bytes: UnsafeRawBufferPointer) -> UInt64? {
        guard !bytes.isEmpty else { return nil }
        var result: UInt64 = 0
        for byte in bytes {
            guard ASCII.isDigit(byte) else { return nil }
            let (product, overflow) = result.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(byte &- 0x30))
            guard !overflow, !carry else { return nil }
            result = sum
        }
        return result
    }
}
