internal import Glibc

/// A failed call of the operating system: what was tried, and the kernel's reason.
package struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    package var attempt: String
    package var code: Int32

    package init(_ attempt: String, code: Int32 = errno) {
        self.attempt = attempt
        self.code = code
    }

    package var description: String { "\(attempt): \(Self.reason(code))" }

    package static func reason(_ code: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        _ = strerror_r(code, &buffer, buffer.count)
        return buffer.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }
}
