internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import MeshPolicy
internal import NIOCore

// What the gateway's route makes of a request: the same for every protocol that it came by.

/// What is to be done with a request.
enum RouteDecision {
    case forward(to: Destination, by: Route)
    case answer(MeshAnswer)
}

extension ForwardedCall {
    /// Finds the request's route and carries out its filters, in their order.
    func decideRoute() -> RouteDecision {
        let snapshot = loop.snapshot
        let decision = requestBytes.withUnsafeReadableBytes { bytes -> RouteDecision in
            let preflight = preflight(bytes)
            var index: Int?
            if let preflight {
                // It is asked for the sake of another request, whose route knows the answer.
                index = match(snapshot, method: preflight.method, bytes)
                if let found = index, snapshot.routes[found].crossOrigin == nil { index = nil }
            }
            guard let index = index ?? match(snapshot, method: bytes[request.method], bytes) else {
                return .answer(MeshAnswer(status: 404, flag: .noRoute, cause: "no route fits", error: "destination_not_found"))
            }
            let route = snapshot.routes[index]
            identity.route = route.name
            identity.routeNumber = index + 1
            routeState.matched(route)
            for filter in route.filters {
                if let answer = carryOut(filter, preflight, bytes) { return .answer(answer) }
            }
            if let edits = route.requestEdits {
                for name in edits.dropped { name.withUnsafeBytes { request.dropField(named: $0, in: bytes) } }
            }
            if let key = route.sticky { routeState.affinity = affinity(by: key, bytes) }
            return .forward(to: route.destination(affinity: routeState.affinity, random: &loop.random), by: route)
        }
        return decision
    }

    private func match(_ snapshot: Snapshot, method: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer) -> Int? {
        withSubject(method: method, bytes, host: snapshot.looksAtHosts) { subject in
            snapshot.route(of: subject) { name, value in
                var start = 0
                while let index = request.fields.index(named: name, from: start, in: bytes) {
                    if bytes[request.fields[index].value].elementsEqual(value) { return true }
                    start = index + 1
                }
                return false
            }
        }
    }

    private func withSubject<Result>(
        method: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer, host: Bool, _ body: (RouteSubject) -> Result
    ) -> Result {
        var subject = RouteSubject(method: method, path: UnsafeRawBufferPointer(start: nil, count: 0))
        if let query = request.query { subject.query = bytes[query] }
        if host, let authority = request.authority {
            let text = bytes[authority]
            if let parsed = Authority(text) { subject.host = text[parsed.host] }
        }
        return path.withPath(of: request, bytes) { path in
            subject.path = path
            return body(subject)
        }
    }

    /// The answer of a filter that ends the request here.
    private func carryOut(_ filter: RouteFilter, _ preflight: Preflight?, _ bytes: UnsafeRawBufferPointer) -> MeshAnswer? {
        switch filter {
        case .crossOrigin(let policy):
            if let preflight {
                routeState.responseLines += policy.preflightLines(
                    origin: preflight.origin, method: preflight.method, headers: preflight.headers)
                return MeshAnswer(status: 204, contents: [])
            }
            routeState.replacesCrossOriginFields = true
            let origin = request.fields.index(named: "origin", in: bytes).map { bytes[request.fields[$0].value] }
            routeState.responseLines += policy.responseLines(origin: origin)
        case .limit(let limiter):
            return limit(by: limiter, bytes)
        case .redirect(let redirect):
            let location = withSubject(method: bytes[request.method], bytes, host: true) { redirect.location(for: $0) }
            routeState.responseLines += Array("location: ".utf8) + location + Array("\r\n".utf8)
            return MeshAnswer(status: redirect.status, contents: [])
        case .respond(let status, let body):
            return MeshAnswer(status: status, contents: body)
        case .mirror(let destination, let share):
            if share >= 1 || loop.random.nextUnit() < share { routeState.mirror = destination }
        case .rewrite(let rewrite):
            path.apply(rewrite, to: request, bytes)
        }
        return nil
    }

    /// Takes out of the response what its route removes or replaces.
    func dropRouteFields(_ bytes: UnsafeRawBufferPointer) {
        guard routeState.route != nil else { return }
        if routeState.replacesCrossOriginFields {
            for name in CrossOriginPolicy.replacedFields { name.withUnsafeBytes { response.dropField(named: $0, in: bytes) } }
        }
        guard let edits = routeState.responseEdits else { return }
        for name in edits.dropped { name.withUnsafeBytes { response.dropField(named: $0, in: bytes) } }
    }

    // MARK: Cross-origin

    private struct Preflight {
        var origin: UnsafeRawBufferPointer
        var method: UnsafeRawBufferPointer
        var headers: UnsafeRawBufferPointer?
    }

    /// What a browser asks before it sends a request to another origin (Fetch, "CORS-preflight request").
    private func preflight(_ bytes: UnsafeRawBufferPointer) -> Preflight? {
        guard request.methodKind == .options else { return nil }
        func value(_ name: StaticString) -> UnsafeRawBufferPointer? {
            request.fields.index(named: name, in: bytes).map { bytes[request.fields[$0].value] }
        }
        guard let origin = value("origin"), let method = value("access-control-request-method"), !method.isEmpty else { return nil }
        return Preflight(origin: origin, method: method, headers: value("access-control-request-headers"))
    }

    // MARK: Rate limits

    private func limit(by limiter: RateLimiter, _ bytes: UnsafeRawBufferPointer) -> MeshAnswer? {
        // Seeded for this process, so that nobody outside can make two keys meet.
        var hasher = Hasher()
        if let key = limiter.key { withKey(key, bytes) { hasher.combine(bytes: $0) } }
        let verdict = limiter.requestCame(key: UInt64(bitPattern: Int64(hasher.finalize())), now: loop.now)
        // draft-ietf-httpapi-ratelimit-headers-10; whole seconds, so that nobody comes back too early.
        func seconds(_ span: Timespan) -> Int64 { (span.nanoseconds + 999_999_999) / 1_000_000_000 }
        var lines = "ratelimit-policy: \"route\";q=\(limiter.quota);w=\(max(1, seconds(limiter.window)))\r\n"
        lines += "ratelimit: \"route\";r=\(verdict.remaining);t=\(seconds(verdict.resetAfter))\r\n"
        if let wait = verdict.retryAfter { lines += "retry-after: \(max(1, seconds(wait)))\r\n" }
        routeState.responseLines += Array(lines.utf8)
        guard !verdict.isAdmitted else { return nil }
        return MeshAnswer(status: 429, flag: .rateLimited, cause: "rate limit of the route", error: "http_request_denied")
    }

    // MARK: Keys

    /// What tells one client from another; empty where the request does not say it.
    private func withKey(_ key: RequestKey, _ bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) {
        switch key {
        case .client: withClientAddress(bytes, body)
        case .field(let name):
            body(fieldValue(named: name.lowercased(), bytes) ?? UnsafeRawBufferPointer(start: nil, count: 0))
        case .cookie(let name): body(cookie(named: name, bytes) ?? UnsafeRawBufferPointer(start: nil, count: 0))
        }
    }

    /// The network of an IPv6 client (64 bits), the address of an IPv4 one; of one behind trusted proxies, as the last of them saw it.
    private func withClientAddress(_ bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) {
        var address = clientAddress
        if identity.isTrusted {
            var nearest: [[UInt8]] = []
            for index in request.fields.indices where request.fields[index].known == .xForwardedFor {
                for part in bytes[request.fields[index].value].split(separator: UInt8(ascii: ",")) {
                    nearest.append(part.filter { $0 != UInt8(ascii: " ") })
                }
            }
            address = nearest.last { !loop.trustedProxies.contains($0) } ?? nearest.first ?? address
        }
        guard let parsed = IPAddress.parse(address) else { return address.withUnsafeBytes(body) }
        (parsed.count == 16 ? Array(parsed[..<8]) : parsed).withUnsafeBytes(body)
    }

    /// The same number for the same client in every gateway; a client that has no cookie yet gets one.
    private func affinity(by key: RequestKey, _ bytes: UnsafeRawBufferPointer) -> UInt64? {
        if case .cookie(let name) = key, cookie(named: name, bytes) == nil {
            let value = Hexadecimal.string(loop.random.next())
            routeState.responseLines += Array("set-cookie: \(name)=\(value); Path=/; HttpOnly; SameSite=Lax\r\n".utf8)
            return HashRing.hash(value.utf8)
        }
        var result: UInt64?
        withKey(key, bytes) { if !$0.isEmpty { result = HashRing.hash($0) } }
        return result
    }
}

extension FieldList {
    func index(named name: StaticString, from start: Int = 0, in bytes: UnsafeRawBufferPointer) -> Int? {
        index(named: UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), from: start, in: bytes)
    }
}
