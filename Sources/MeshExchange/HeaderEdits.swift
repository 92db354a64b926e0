/// What a route changes in the fields of a head, ready to be carried out.
package struct HeaderEdits: Hashable, Sendable {
    /// Names in lower case: those that are removed, and those that are set.
    package let dropped: [[UInt8]]
    /// Field lines that are put behind those of the head.
    package let lines: [UInt8]

    /// What rules framing, routing and connections, or is the mesh's own, is not to be changed by a route.
    package static let reserved: Set<String> = [
        "connection", "content-length", "expect", "forwarded", "host", "keep-alive", "proxy-connection", "proxy-status", "te", "trailer",
        "transfer-encoding", "traceparent", "tracestate", "upgrade", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
        "x-request-id",
    ]

    package static func isReserved(_ name: String) -> Bool {
        let name = name.lowercased()
        return reserved.contains(name) || name.hasPrefix("mesh-")
    }

    /// nil where nothing is changed.
    package init?(_ configuration: HeaderEditsConfiguration) throws(RoutePattern.Invalid) {
        guard !configuration.isEmpty else { return nil }
        for name in configuration.remove + (configuration.set + configuration.add).map(\.name) where Self.isReserved(name) {
            throw RoutePattern.Invalid(description: "the field '\(name)' is not a route's to change: leave it out")
        }
        dropped = (configuration.remove + configuration.set.map(\.name)).map { Array($0.lowercased().utf8) }
        var lines: [UInt8] = []
        for field in configuration.set + configuration.add { lines += try Self.line(field.name.lowercased(), field.value) }
        self.lines = lines
    }

    /// A field line, checked: nothing that ends a line can get into a head by it.
    package static func line(_ name: String, _ value: String) throws(RoutePattern.Invalid) -> [UInt8] {
        guard isFieldValue(value) else {
            throw RoutePattern.Invalid(description: "the value of the field '\(name)' has control characters: take them out")
        }
        return Array("\(name): \(value)\r\n".utf8)
    }

    /// Whether a text can be a field's value (RFC 9110 5.5).
    package static func isFieldValue(_ value: String) -> Bool {
        value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }
    }
}
