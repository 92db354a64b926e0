/// Which fields end at a hop, and which are taken off or set at the mesh's borders.
@frozen
@usableFromInline
package enum HeaderRules {
    /// Those that RFC 9110 7.6.1 ends at each hop; those that `Connection` names are marked in the list of fields itself.
    package static let hopByHop: FieldSet = [.connection, .keepAlive, .proxyConnection, .te, .transferEncoding, .upgrade]

    /// The same where the next hop gets the body in the same chunks, so that `Transfer-Encoding: chunked` stays where it is.
    package static let hopByHopKeepingChunks: FieldSet = hopByHop.subtracting([.transferEncoding])

    /// Every `mesh-*` field: nobody outside may set one, and nobody outside sees one.
    package static let mesh: FieldSet = [
        .meshTimeout, .meshRetry, .meshRetryCredit, .meshCreditSpent, .meshOverload, .meshCriticality, .meshTrace, .meshCaller,
        .meshTrouble, .meshKeep, .otherMesh,
    ]

    /// Who asked, and how, as a proxy tells it: replaced at the edge unless the client is trusted.
    package static let forwarding: FieldSet = [.xForwardedFor, .xForwardedProto, .xForwardedHost, .forwarded]

    /// Taken off a request from outside. W3C Trace Context starts anew with the edge's own context.
    package static let strippedAtEdge: FieldSet = mesh.union(forwarding).union([.traceparent, .tracestate])

    /// Taken off a request to a `url:` service, whose Host becomes the URL's authority.
    package static let strippedTowardsOutside: FieldSet = mesh.union([.baggage, .host])

    /// Never in a trailer section, because they would have ruled framing or routing (RFC 9110 6.5.1).
    package static let notInTrailers: FieldSet = [
        .contentLength, .transferEncoding, .host, .connection, .te, .trailer, .upgrade, .keepAlive, .proxyConnection, .expect,
    ]

    /// W3C Baggage asks every platform to carry this much; no more is taken from outside.
    package static let longestBaggage = 8192
    package static let mostBaggageMembers = 64

    /// Whether the baggage of a request from outside is within the cap; where it is not, all of it is dropped.
    package static func allowsBaggage(_ fields: borrowing FieldList, _ bytes: UnsafeRawBufferPointer) -> Bool {
        isWithin(fields, bytes, .baggage, length: longestBaggage, members: mostBaggageMembers)
    }

    private static func isWithin(
        _ fields: borrowing FieldList, _ bytes: UnsafeRawBufferPointer, _ known: KnownField, length longest: Int, members most: Int
    ) -> Bool {
        guard fields.present.contains(known) else { return true }
        var length = 0
        var members = 0
        for index in fields.indices where fields[index].known == known {
            let value = bytes[fields[index].value]
            length += value.count
            guard length <= longest else { return false }
            var list = ListElements(value)
            while list.next() != nil { members += 1 }
        }
        return members <= most
    }

    /// W3C Trace Context asks every platform to carry this much of `tracestate`; where there is more, all of it is dropped.
    package static let longestTracestate = 512
    package static let mostTracestateMembers = 32

    /// Whether the trace state of a request from outside is within the cap.
    package static func allowsTracestate(_ fields: borrowing FieldList, _ bytes: UnsafeRawBufferPointer) -> Bool {
        isWithin(fields, bytes, .tracestate, length: longestTracestate, members: mostTracestateMembers)
    }

    /// Whether a request id that came from outside may stay: visible ASCII, and short enough for a log line.
    package static func allowsRequestID(_ value: UnsafeRawBufferPointer) -> Bool {
        guard value.count >= 1, value.count <= 128 else { return false }
        for byte in value where byte <= 0x20 || byte >= 0x7f { return false }
        return true
    }
}
