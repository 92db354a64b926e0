import MeshExchange
import MeshModel
import MeshPolicy

// The routes of the gateway.

extension DocumentDecoder {
    func routes(_ node: ConfigurationNode?) -> [MeshDocument.Route] {
        if let items = node?.list { return items.flatMap(routes(ofItem:)) }
        return (node?.entries ?? []).compactMap { entry in
            guard let key = RouteKey(entry.key) else { return nil }
            return route(
                name: entry.key, mark: entry.keyMark, method: key.method, pattern: key.pattern, conditions: RouteConditions(),
                node: entry.value)
        }
    }

    /// One route for each of the methods and hosts of an item.
    private func routes(ofItem node: ConfigurationNode) -> [MeshDocument.Route] {
        let match = node["match"]
        guard let pattern = RouteKey(match?["path"]?.text ?? "/**")?.pattern else { return [] }
        let methods: [String?] = match?["method"]?.elements.compactMap(\.text) ?? [nil]
        let hosts: [String?] = match?["host"]?.elements.compactMap { $0.text?.lowercased() } ?? [nil]
        let fields = pairs(match?["headers"]).map { NameAndValue($0.name.lowercased(), $0.value) }
        let query = pairs(match?["query"])
        return methods.flatMap { method in
            hosts.map { host in
                route(
                    name: (method.map { $0 + " " } ?? "") + (host ?? "") + pattern, mark: node.mark, method: method, pattern: pattern,
                    conditions: RouteConditions(host: host, fields: fields, query: query), node: node)
            }
        }
    }

    private func route(
        name: String, mark: SourceMark, method: String?, pattern: String, conditions: RouteConditions, node: ConfigurationNode
    ) -> MeshDocument.Route {
        let to = node.scalar == nil ? node["to"] : node
        var targets: [MeshDocument.Route.Target] = []
        if let service = to?.name {
            targets = [MeshDocument.Route.Target(service: service, weight: 100, mark: to?.mark ?? mark)]
        } else if case .map(let entries)? = to?.content {
            targets = entries.map { MeshDocument.Route.Target(service: $0.key, weight: $0.value.integer(0...100) ?? 0, mark: $0.keyMark) }
        }
        var route = MeshDocument.Route(
            name: name, mark: mark, method: method, pattern: pattern, conditions: conditions, targets: targets,
            timeout: node["timeout"]?.duration, timeoutMark: node["timeout"]?.mark, deadline: deadline(node["deadline"]),
            maxDuration: node["max_duration"]?.duration, isIdempotent: node["idempotent"]?.boolean ?? false, rewrite: node["rewrite"]?.text,
            node: node)
        route.answer = answer(node)
        route.requestHeaders = edits(node["headers"], node[path: "headers", "request"])
        route.responseHeaders = edits(node[path: "headers", "response"])
        route.cors = node["cors"].map(crossOrigin)
        route.rateLimit = node["rate_limit"].flatMap(rateLimit)
        if let service = node[path: "mirror", "to"]?.name {
            route.mirror = MirrorConfiguration(service: service, share: node[path: "mirror", "share"]?.share ?? 1)
        }
        if let cookie = node[path: "sticky", "cookie"]?.fieldName {
            route.sticky = .cookie(cookie)
        } else if let header = node[path: "sticky", "header"]?.fieldName {
            route.sticky = .field(header)
        }
        route.criticality = node["criticality"]?.text.flatMap(Criticality.init(rawValue:)) ?? .standard
        route.fault = fault(node["fault"])
        return route
    }

    private func deadline(_ node: ConfigurationNode?) -> RouteDeadline {
        if node?.word("none") != nil { return .none }
        return node?.duration.map { .after($0) } ?? .standard
    }

    private func answer(_ node: ConfigurationNode) -> RouteAnswer? {
        if let redirect = node["redirect"], let location = redirect.text ?? redirect["to"]?.text {
            return .redirect(location: location, status: redirect["status"]?.integer(300...399) ?? 308)
        }
        if let respond = node["respond"], let status = respond["status"]?.integer(200...599) {
            return .respond(status: status, body: respond["body"]?.text ?? "")
        }
        return nil
    }

    /// Of a route or of a call.
    func fault(_ node: ConfigurationNode?) -> FaultPolicy? {
        guard let node else { return nil }
        return FaultPolicy(
            delay: node["delay"]?.duration, abort: node["abort"]?.integer(400...599), reset: node["reset"]?.boolean ?? false,
            share: node["share"]?.share ?? 1, lasts: node["for"]?.duration)
    }

    private func edits(_ nodes: ConfigurationNode?...) -> HeaderEditsConfiguration {
        var edits = HeaderEditsConfiguration()
        for case let node? in nodes {
            edits.set += pairs(node["set"])
            edits.add += pairs(node["add"])
            edits.remove += (node["remove"]?.elements ?? []).compactMap(\.fieldName)
        }
        return edits
    }

    private func pairs(_ node: ConfigurationNode?) -> [NameAndValue] {
        (node?.entries ?? []).compactMap { entry in entry.value.argument.map { NameAndValue(entry.key, $0) } }
    }

    private func crossOrigin(_ node: ConfigurationNode) -> CrossOriginConfiguration {
        CrossOriginConfiguration(
            origins: (node["origins"]?.elements ?? []).compactMap(\.text), methods: (node["methods"]?.elements ?? []).compactMap(\.text),
            headers: (node["headers"]?.elements ?? []).compactMap(\.fieldName),
            expose: (node["expose"]?.elements ?? []).compactMap(\.fieldName), credentials: node["credentials"]?.boolean ?? false,
            maxAge: node["max_age"]?.duration)
    }

    private func rateLimit(_ node: ConfigurationNode) -> RateLimitConfiguration? {
        guard let text = node.scopedRate else { return nil }
        let scope = text.firstRange(of: " per ").map { text[$0.upperBound...] }
        let rate = text.firstRange(of: " per ").map { String(text[..<$0.lowerBound]) } ?? text
        guard let (requests, window) = Quantity.requestsAndWindow(rate) else { return nil }
        let key: RequestKey? = scope.map { $0 == "client" ? .client : .field(String($0.dropFirst("header ".count)).lowercased()) }
        return RateLimitConfiguration(requests: requests, window: window, key: key)
    }
}
