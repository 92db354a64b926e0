internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import MeshPolicy
internal import NIOCore

// What is taken off a head, put on it and rewritten at this hop; the rules stand in semantics.md, "Headers".

/// Writes the head of a request for one attempt.
enum RequestWriter {
    static func write(_ call: ForwardedCall, attempt: Attempt, to destination: Destination, into output: inout ByteBuffer) {
        call.requestBytes.withUnsafeReadableBytes { bytes in
            let room =
                call.request.length + 3 * Int(call.request.authority?.count ?? 0) + call.path.count + 1024 + call.routeState.requestRoom
                + (attempt.endpoint.endpoint.authority?.utf8.count ?? 0) + (attempt.endpoint.endpoint.basePath?.utf8.count ?? 0)
            _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { region in
                var sink = RegionSink(region)
                write(call, bytes, attempt, destination, into: &sink)
                return sink.count
            }
        }
    }

    private static func write(
        _ call: ForwardedCall, _ bytes: UnsafeRawBufferPointer, _ attempt: Attempt, _ destination: Destination, into sink: inout RegionSink
    ) {
        let endpoint = attempt.endpoint.endpoint
        let isEdge = call.identity.origin == .edge
        let present = call.request.fields.present

        // The run is copied as it stands as far as nothing in it is dropped.
        var dropping = HeaderRules.hopByHopKeepingChunks.union([.traceparent, .meshTimeout, .meshRetryCredit, .meshCaller])
        if isEdge {
            dropping = dropping.union(HeaderRules.mesh)
            if !call.identity.isTrusted { dropping = dropping.union(HeaderRules.forwarding) }
            if call.identity.parent == nil || !HeaderRules.allowsTracestate(call.request.fields, bytes) { dropping.insert(.tracestate) }
            if !HeaderRules.allowsBaggage(call.request.fields, bytes) { dropping.insert(.baggage) }
        }
        if call.isGRPC { dropping.insert(.grpcTimeout) }
        if call.identity.madeRequestID != nil { dropping.insert(.xRequestID) }
        if destination.isExternal { dropping = dropping.union(HeaderRules.strippedTowardsOutside) }

        let authority = destination.isExternal ? endpoint.authority : nil
        let normalHost = isEdge && authority == nil && call.request.authority.map { Authority(bytes[$0])?.isNormal != true } ?? false
        if normalHost || call.request.form == .absolute { dropping.insert(.host) }

        if call.path.replacesTarget || endpoint.basePath != nil {
            call.path.withTarget(of: call.request, bytes, basePath: endpoint.basePath) { target in
                call.request.write(bytes, target: target, dropping: dropping, into: &sink)
            }
        } else {
            call.request.write(bytes, dropping: dropping, into: &sink)
        }

        if let authority {
            text("host: ", authority, into: &sink)
        } else if dropping.contains(.host) || !present.contains(.host) {
            sink.append("host: ")
            if let range = call.request.authority {
                normalAuthority(bytes[range], into: &sink)
            } else {
                string(destination.service, into: &sink)
            }
            sink.append("\r\n")
        }

        let shared = call.loop.shared
        (destination.isExternal ? shared.outsideRequestFields : shared.meshRequestFields).withUnsafeBytes { sink.append($0) }
        sink.append("traceparent: ")
        sink.append(atMost: TraceContext.headerLength) { region in
            call.identity.attemptContext.write(to: region)
            return TraceContext.headerLength
        }
        if let id = call.identity.madeRequestID {
            sink.append("\r\nx-request-id: ")
            hexadecimal(id.high, into: &sink)
            hexadecimal(id.low, into: &sink)
        }
        if let remaining = attempt.remaining, !destination.isExternal {
            sink.append("\r\nmesh-timeout-ms: ")
            sink.append(decimal: UInt64(max(0, remaining.milliseconds)))
        }
        if let credit = attempt.credit {
            sink.append("\r\nmesh-retry-credit: ")
            sink.append(decimal: UInt64(credit))
        }
        sink.append("\r\n")
        if call.isGRPC, let remaining = attempt.remaining { GRPCTimeout.write(remaining, into: &sink) }
        if call.request.acceptsTrailers { sink.append("te: trailers\r\nconnection: te\r\n") }
        if call.offersUpgrade, let upgrade = call.request.upgrade { switching(to: bytes[upgrade], into: &sink) }
        if isEdge {
            forwarding(call, bytes, into: &sink)
            routeFields(call.routeState, isExternal: destination.isExternal, into: &sink)
        }
        HeadWriter.end(into: &sink)
    }

    /// What the route adds.
    private static func routeFields(_ state: RouteState, isExternal: Bool, into sink: inout RegionSink) {
        if let edits = state.requestEdits { edits.lines.withUnsafeBytes { sink.append($0) } }
        guard !isExternal else { return }
        if state.isMirror { sink.append("mesh-mirror: 1\r\n") }
        switch state.isMirror ? .sheddable : state.route?.criticality {
        case .critical: sink.append("mesh-criticality: critical\r\n")
        case .sheddable: sink.append("mesh-criticality: sheddable\r\n")
        case .standard, nil: break
        }
    }

    /// `X-Forwarded-*` and `Forwarded` (RFC 7239) of this hop; a trusted client's own stand before them.
    private static func forwarding(_ call: ForwardedCall, _ bytes: UnsafeRawBufferPointer, into sink: inout RegionSink) {
        let client = call.clientAddress
        let ending: StaticString = call.identity.isSecure ? "proto=https\r\n" : "proto=http\r\n"
        client.withUnsafeBytes { address in
            let isIPv6 = address.contains(ASCII.colon)
            sink.append("x-forwarded-for: ")
            sink.append(address)
            if !(call.identity.isTrusted && call.request.fields.present.contains(.xForwardedProto)) {
                sink.append(call.identity.isSecure ? "\r\nx-forwarded-proto: https" : "\r\nx-forwarded-proto: http")
            }
            if let host = call.request.authority {
                if !(call.identity.isTrusted && call.request.fields.present.contains(.xForwardedHost)) {
                    sink.append("\r\nx-forwarded-host: ")
                    sink.append(bytes[host])
                }
                sink.append(isIPv6 ? "\r\nforwarded: for=\"[" : "\r\nforwarded: for=")
                sink.append(address)
                // A host with a port, or in brackets, is no token.
                sink.append(isIPv6 ? "]\";host=\"" : ";host=\"")
                sink.append(bytes[host])
                sink.append("\";")
                sink.append(ending)
            } else {
                sink.append(isIPv6 ? "\r\nforwarded: for=\"[" : "\r\nforwarded: for=")
                sink.append(address)
                sink.append(isIPv6 ? "]\";" : ";")
                sink.append(ending)
            }
        }
    }

    /// Upgrade ends at each hop, so that the one who passes it on says it anew.
    static func switching(to protocols: UnsafeRawBufferPointer, into sink: inout RegionSink) {
        HeadWriter.field("upgrade", protocols, into: &sink)
        sink.append("connection: upgrade\r\n")
    }

    private static func normalAuthority(_ bytes: UnsafeRawBufferPointer, into sink: inout RegionSink) {
        guard let authority = Authority(bytes) else { return }
        let host = bytes[authority.host]
        sink.append(atMost: host.count) { region in
            for index in 0..<host.count { region[index] = ASCII.lowercase(host[index]) }
            return host.count
        }
        if let port = authority.port {
            sink.append(":")
            sink.append(decimal: UInt64(port))
        }
    }

    private static func hexadecimal(_ value: UInt64, into sink: inout RegionSink) {
        sink.append(atMost: 16) { region in
            Hexadecimal.write(value, to: region)
            return 16
        }
    }

    private static func text(_ name: StaticString, _ value: String, into sink: inout RegionSink) {
        sink.append(name)
        string(value, into: &sink)
        sink.append("\r\n")
    }

    private static func string(_ value: String, into sink: inout RegionSink) {
        var value = value
        value.withUTF8 { sink.append(UnsafeRawBufferPointer($0)) }
    }
}

/// How the body of a response is framed towards an HTTP/1.1 client.
enum ResponseFraming {
    /// As it came.
    case same
    /// It ended with the connection upstream: chunked here, so that its end can be told from a break.
    case chunkedHere
    /// The client knows no chunks: its end is the connection's.
    case untilClose
}

/// Writes the head of a response for an HTTP/1.1 client.
enum ResponseWriter {
    static func write(
        _ call: ForwardedCall, retryNo: Bool, framing: ResponseFraming, keepsAlive: Bool, clientVersion: UInt8,
        into output: inout ByteBuffer
    ) {
        call.responseBytes.withUnsafeReadableBytes { bytes in
            call.dropRouteFields(bytes)
            let proxyStatus = call.takeProxyStatus(bytes)
            let room = call.response.length + 512 + call.routeState.responseRoom + proxyStatus.count
            _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { region in
                var sink = RegionSink(region)
                let isEdge = call.identity.origin == .edge
                let isFromOutside = call.destination?.isExternal ?? false
                var dropping = framing == .same ? HeaderRules.hopByHopKeepingChunks : HeaderRules.hopByHop
                if isEdge || isFromOutside { dropping = dropping.union(HeaderRules.mesh) }
                if retryNo { dropping.insert(.meshRetry) }
                // What the tiers below said is part of what this one says.
                dropping.insert(.meshCreditSpent)
                dropping.insert(.meshTrouble)
                call.response.write(bytes, dropping: dropping, into: &sink)
                call.loop.shared.responseFields.withUnsafeBytes { sink.append($0) }
                if !proxyStatus.isEmpty { proxyStatus.withUnsafeBytes { sink.append($0) } }
                if call.routeState.responseRoom > 0 {
                    call.routeState.responseLines.withUnsafeBytes { sink.append($0) }
                    if let edits = call.routeState.responseEdits { edits.lines.withUnsafeBytes { sink.append($0) } }
                }
                if isEdge {
                    traceField(call.identity.traceID, into: &sink)
                } else {
                    if retryNo { sink.append("mesh-retry: no\r\n") }
                    sink.append(call.trouble.line)
                }
                if let spent = call.creditSpent {
                    sink.append("mesh-credit-spent: ")
                    sink.append(decimal: UInt64(spent))
                    sink.append("\r\n")
                }
                if framing == .chunkedHere { sink.append("transfer-encoding: chunked\r\n") }
                if call.response.framing == .tunnel, let upgrade = call.response.upgrade {
                    RequestWriter.switching(to: bytes[upgrade], into: &sink)
                } else if !keepsAlive {
                    sink.append("connection: close\r\n")
                } else if clientVersion == 0 {
                    sink.append("connection: keep-alive\r\n")
                }
                HeadWriter.end(into: &sink)
                return sink.count
            }
        }
    }

    /// A 1xx head.
    static func writeInterim(_ call: ForwardedCall, into output: inout ByteBuffer) {
        call.responseBytes.withUnsafeReadableBytes { bytes in
            _ = output.writeWithUnsafeMutableBytes(minimumWritableBytes: call.response.length + 64) { region in
                var sink = RegionSink(region)
                call.response.write(bytes, dropping: HeaderRules.hopByHop.union(HeaderRules.mesh), into: &sink)
                HeadWriter.end(into: &sink)
                return sink.count
            }
        }
    }

    static func traceField(_ trace: TraceID, into sink: inout RegionSink) {
        sink.append("mesh-trace: ")
        sink.append(atMost: 32) { region in
            Hexadecimal.write(trace.high, to: region)
            Hexadecimal.write(trace.low, to: UnsafeMutableRawBufferPointer(rebasing: region[16...]))
            return 32
        }
        sink.append("\r\n")
    }
}

extension ByteBuffer {
    /// This trailer section as it goes on: at the mesh's borders without the fields that the mesh speaks with itself.
    func trailers(_ fields: borrowing FieldList, isFromOutside: Bool) -> ByteBuffer {
        guard isFromOutside, !fields.present.intersection(HeaderRules.mesh).isEmpty else { return self }
        var result = ByteBuffer()
        withUnsafeReadableBytes { bytes in
            _ = result.writeWithUnsafeMutableBytes(minimumWritableBytes: bytes.count + 2) { region in
                var sink = RegionSink(region)
                fields.writeTrailers(bytes, length: bytes.count, dropping: HeaderRules.mesh, into: &sink)
                HeadWriter.end(into: &sink)
                return sink.count
            }
        }
        return result
    }
}
