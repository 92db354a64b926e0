import MeshExchange

// What of a route can be read and not be carried out.

extension SemanticCheck {
    mutating func checkRouteDetails() {
        var seen: Set<SourceMark> = []
        // One item of a list may stand for several routes.
        for route in document.gateway?.routes ?? [] where seen.insert(route.node.mark).inserted {
            guard let pattern = try? RoutePattern(route.pattern) else { continue }
            checkPaths(of: route, pattern)
            checkHeaders(of: route)
            for origin in route.node[path: "cors", "origins"]?.elements ?? [] {
                guard let text = origin.text, text != "*", !CrossOriginPolicy.isOrigin(text) else { continue }
                report(origin, text, "'\(text)' is no origin", fix: "write it as https://shop.example.com, https://*.example.com, or *")
            }
        }
    }

    private mutating func checkPaths(of route: MeshDocument.Route, _ pattern: RoutePattern) {
        if let node = route.node["rewrite"], let text = node.text {
            do {
                _ = try PathRewrite(text, for: pattern)
            } catch {
                report(node, text, error.description, fix: "use in the rewrite only what the pattern \(route.pattern) stands for")
            }
        }
        if case .redirect(let location, let status)? = route.answer, let redirect = route.node["redirect"] {
            do {
                _ = try Redirect(location: location, status: status, for: pattern)
            } catch {
                report(redirect["to"] ?? redirect, location, error.description, fix: "write a path, or a URL with http:// or https://")
            }
        }
    }

    private mutating func checkHeaders(of route: MeshDocument.Route) {
        guard let headers = route.node["headers"] else { return }
        for edits in [headers, headers["request"], headers["response"]].compactMap(\.self) {
            for entry in ["set", "add"].flatMap({ edits[$0]?.entries ?? [] }) {
                checkName(entry.key, at: entry.keyMark)
                if let value = entry.value.argument, !HeaderEdits.isFieldValue(value) {
                    report(entry.value, value, "the value of '\(entry.key)' has control characters", fix: "take them out")
                }
            }
            for name in edits["remove"]?.elements ?? [] { if let text = name.fieldName { checkName(text, at: name.mark) } }
        }
    }

    private mutating func checkName(_ name: String, at mark: SourceMark) {
        guard HeaderEdits.isReserved(name) else { return }
        findings.report(
            .unusableRoute, at: mark, token: name, "the field '\(name)' is not a route's to change: framing, routing or the mesh need it",
            fix: "leave it out")
    }

    private mutating func report(_ node: ConfigurationNode, _ token: String, _ message: String, fix: String) {
        findings.report(.unusableRoute, at: node.mark, token: token, message, fix: fix)
    }
}
