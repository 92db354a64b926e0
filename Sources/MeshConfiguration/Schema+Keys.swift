// The keys of mesh.yaml at the top, in the gateway, in traces and metrics. Those of services and calls are in Schema+ServiceKeys.swift.

extension Schema {
    private static let tiers = Key(
        "tiers", .list(of: .name), standard: "[edge, domain, enterprise]", "The tiers from the outside in; calls go to the right only.")
    private static let common: [Key] = [
        tiers,
        Key("same_tier", .boolean, standard: "false", "Whether services of one tier may call each other."),
        Key("defaults", .map(.call), "How every call behaves that doesn't say otherwise."),
        Key("gateway", .map(.gateway), "The way in from the outside."),
        Key("services", .dictionary(keys: .name, values: .map(.service)), "What runs behind the gateway, by name."),
        Key("traces", .map(.traces), "Which traces are kept, for how long, and where else they go."),
        Key("metrics", .map(.metrics), "Where metrics can be read."),
        Key("registry", Shape.keywords("embedded").or(.scalar(.registryURL)), standard: "embedded", "Where it is kept who is where."),
    ]

    static let topMaps: [MapShape] = [
        MapShape(
            .top, "A mesh: what runs, who calls whom, and how calls behave.",
            [Key("mesh", .name, required: true, "The name of the mesh.")] + common + [
                Key(
                    "profiles", .dictionary(keys: .name, values: .map(.profile)),
                    "Changes to be laid over this file, by the name that chooses them."),
                Key("include", .oneOrMore(.text), "Files that this one is laid over, in their order."),
            ]),
        MapShape(
            .profile, "What a profile changes: any part of the file.",
            common + [Key("watch", .boolean, standard: "false", "Restart a service when its executable changes.")]),
        MapShape(
            .metrics, "Where metrics can be read.",
            [Key("listen", .address, required: true, "The address at which Prometheus scrapes /metrics, of all instances at once.")]),
    ]

    static let gatewayMaps: [MapShape] = [
        MapShape(
            .gateway, "The way in from the outside: a process of the first tier.",
            [
                Key(
                    "run", .command,
                    "The command that starts it; without it, the gateway is started by hand (edge-gateway --mesh)."),
                Key(
                    "listen", .oneOrMore(.address), standard: "8080",
                    "Where clients connect: a port (of every interface), host:port, or a list."),
                Key("threads", .integer(1...1024), standard: "one per core", "Event loops."),
                Key("deadline", .duration, standard: "15s", "The time that a request has in all; handed down the tiers, shrinking."),
                Key(
                    "retry_credit", Shape.integer(0...100).or(.off), standard: "3",
                    "Extra attempts for the whole tree of calls of one request."),
                Key(
                    "routes",
                    .either([
                        .dictionary(keys: .routeKey, values: Shape.name.or(.map(.route))), .list(of: .map(.routeItem)),
                    ]), "Which request goes where; the most specific pattern wins."),
                Key(
                    "tls", .oneOrMore(.map(.certificate)),
                    "Certificates for HTTPS; with them, every port of the gateway takes HTTPS and refuses plain HTTP."),
                Key(
                    "redirect_http", .scalar(.toggle), standard: "off", "Answer plain HTTP with a redirect to HTTPS instead of refusing it."
                ),
                Key("trusted_proxies", .oneOrMore(.scalar(.addressBlock)), "Whose forwarding headers are believed."),
                Key(
                    "proxy_protocol", .scalar(.toggle), standard: "off",
                    "Whether connections begin with the PROXY protocol; with `trusted_proxies`, only those may connect."),
                Key(
                    "trace_context", .keywords("restart", "continue"), standard: "restart", "What becomes of a trace context from outside."),
                Key("health", .path, standard: "/-/healthy", "The path that the gateway answers itself."),
                Key(
                    "access_log", Shape.off.or(.text, .map(.accessLog)), standard: "off",
                    "A line for each request: stdout, or a file's path."),
                Key("limits", .map(.gatewayLimits), "What a request and a client may take."),
                Key("timeouts", .map(.gatewayTimeouts), "How long a client may take."),
            ]),
        MapShape(
            .gatewayLimits, "What a request and a client may take.",
            [
                Key("head", .size, standard: "32KiB", "The head of a request."),
                Key("fields", .integer(1...10_000), standard: "100", "Header fields of a request."),
                Key("uri", .size, standard: "8KiB", "The target of a request."),
                Key("body", Shape.size.or(.keywords("none")), standard: "none", "The body of a request."),
                Key(
                    "connections", .integer(1...10_000_000), standard: "3/4 of the descriptors",
                    "Connections from clients at once; the others wait."),
                Key("streams", .integer(1...100_000), standard: "100", "Streams of one HTTP/2 connection at once."),
            ]),
        MapShape(
            .gatewayTimeouts, "How long a client may take.",
            [
                Key("head", .duration, standard: "10s", "Until the head of a request is complete."),
                Key("idle", .duration, standard: "75s", "Between two requests of a connection."),
            ]),
        MapShape(
            .accessLog, "Where the access log goes, and in which form.",
            [
                Key("to", .text, required: true, "stdout, or a file's path."),
                Key("format", .keywords("json", "text"), standard: "text", "The form of a line."),
            ]),
        MapShape(
            .certificate, "A certificate and its key.",
            [
                Key("cert", .text, required: true, "The file with the certificate chain (PEM)."),
                Key("key", .text, required: true, "The file with the private key (PEM)."),
                Key("names", .oneOrMore(.scalar(.host)), "The hosts that it is for; without them, every other one."),
            ]),
        MapShape(.route, "What becomes of the requests of a route.", routeKeys, routeChoices),
        MapShape(
            .routeItem, "A route with all that a request must match.",
            [Key("match", .map(.match), required: true, "Which requests it is for.")] + routeKeys, routeChoices),
        MapShape(
            .match, "What a request must be like; all of it.",
            [
                Key("path", .scalar(.pathPattern), standard: "/**", "/exact, /prefix/**, or /a/*/b."),
                Key("method", .oneOrMore(.scalar(.method)), "One method, or a list."),
                Key("host", .oneOrMore(.scalar(.host)), "One host, or a list; *.example.com for all below it. Ports don't count."),
                Key("headers", .dictionary(keys: .fieldName, values: .scalar(.argument)), "Header fields with these values."),
                Key("query", .dictionary(keys: .text, values: .scalar(.argument)), "Query parameters with these values."),
            ]),
        MapShape(
            .headerRules, "What is changed in the headers of the request; under request: and response: in each.",
            headerEdits + [
                Key("request", .map(.headerEdits), "What is changed on the way in."),
                Key("response", .map(.headerEdits), "What is changed on the way out."),
            ]),
        MapShape(.headerEdits, "What is changed in the headers.", headerEdits),
        MapShape(
            .redirect, "A redirect.",
            [
                Key("to", .text, required: true, "A URL or a path; /** at its end stands for what the pattern's /** did."),
                Key("status", .integer(300...399), standard: "308", "The status of the answer."),
            ]),
        MapShape(
            .mirror, "A second service that gets a copy, and whose answer nobody reads.",
            [
                Key("to", .name, required: true, "The service."),
                Key("share", .share, standard: "100%", "Of how many requests."),
            ]),
        MapShape(
            .sticky, "What keeps a client at one version and instance, as long as that is well.",
            [
                Key("cookie", .scalar(.fieldName), "The cookie's name; a client that has none gets one."),
                Key("header", .scalar(.fieldName), "The header's name."),
            ], [.exactlyOne("cookie", "header")]),
        MapShape(
            .cors, "Cross-origin requests.",
            [
                Key("origins", .oneOrMore(.text), required: true, "Who may ask; * for all."),
                Key("methods", .oneOrMore(.scalar(.method)), standard: "what is asked for", "What they may ask with."),
                Key("headers", .oneOrMore(.scalar(.fieldName)), standard: "what is asked for", "Header fields that they may send."),
                Key("expose", .oneOrMore(.scalar(.fieldName)), "Header fields that they may read."),
                Key("credentials", .boolean, standard: "false", "Whether cookies may be sent."),
                Key("max_age", .duration, "How long a browser may remember this."),
            ]),
        MapShape(
            .respond, "An answer that the gateway gives itself.",
            [
                Key("status", .integer(200...599), required: true, "Its status."),
                Key("body", .text, "Its body."),
            ]),
        MapShape(
            .fault, "Trouble made on purpose; traces mark it, and breakers, retries and budgets see it as any other.",
            [
                Key("delay", .duration, "Wait before the call."),
                Key("abort", .integer(400...599), "Answer with this status instead."),
                Key("reset", .boolean, standard: "false", "Close the connection instead."),
                Key("share", .share, standard: "100%", "For how many attempts."),
                Key("for", .duration, "For how long after a process heard of it; without it, until it is taken out."),
            ], [.atMostOne("abort", "reset")]),
    ]

    private static let headerEdits: [Key] = [
        Key("set", .dictionary(keys: .fieldName, values: .scalar(.argument)), "Fields that get this value alone."),
        Key("add", .dictionary(keys: .fieldName, values: .scalar(.argument)), "Fields that get this value besides others."),
        Key("remove", .oneOrMore(.scalar(.fieldName)), "Fields that are taken out."),
    ]

    private static let routeChoices: [Choice] = [.exactlyOne("to", "redirect", "respond")]
    private static let routeKeys: [Key] = [
        Key(
            "to", Shape.name.or(.dictionary(keys: .name, values: .integer(0...100), atLeast: 1)),
            "A service, or several with their weights (of 100)."),
        Key("timeout", .duration, "The whole call, retries included; instead of the one in defaults."),
        Key(
            "deadline", Shape.duration.or(.keywords("none")),
            "The request's deadline; instead of the gateway's. none for streams and events."),
        Key("max_duration", .duration, "How long a response may last after its head."),
        Key("idempotent", .boolean, "Whether a request may be sent twice, whatever its method."),
        Key(
            "rewrite", .path,
            "The path that the service sees; /** in it is what the pattern's /** stood for, and * what the pattern's * did."),
        Key("redirect", Shape.text.or(.map(.redirect)), "Answer with a redirect."),
        Key("headers", .map(.headerRules), "What is changed in headers."),
        Key("rate_limit", .scalar(.scopedRate), "N/s, N/m or N/h in all, per client, or per header X; as many may come at once."),
        Key("criticality", .keywords("critical", "default", "sheddable"), standard: "default", "Which requests are shed last, or first."),
        Key("mirror", .map(.mirror), "A second service that gets a copy."),
        Key("sticky", .map(.sticky), "What keeps a client at one version and instance."),
        Key("cors", .map(.cors), "Cross-origin requests."),
        Key("respond", .map(.respond), "Answer without asking a service."),
        Key("fault", .map(.fault), "Trouble made on purpose."),
    ]

    static let traceMaps: [MapShape] = [
        MapShape(
            .traces, "Which traces are kept, for how long, and where else they go.",
            [
                Key(
                    "keep", Shape.keywords("all").or(.map(.keep)), standard: "all",
                    "Which traces are kept; decided when the request has ended."),
                Key("store", .map(.store), "How they are kept."),
                Key(
                    "export", Shape.url.or(.map(.collector), .list(of: Shape.url.or(.map(.collector)))),
                    "OTLP/HTTP endpoints that kept traces are sent to; `/v1/traces` is added."),
                Key("otlp_listen", .address, "Where spans of other programs are taken in (OTLP/HTTP); a port alone is on 127.0.0.1."),
            ]),
        MapShape(
            .keep, "Which traces are kept.",
            [
                Key("errors", Shape.keywords("all").or(.share), standard: "all", "Of those in which a call failed."),
                Key("retried", Shape.keywords("all").or(.share), standard: "all", "Of those in which an attempt was repeated."),
                Key(
                    "slower_than", Shape.scalar(.percentile).or(.duration),
                    "All that took longer than this; a percentile is that of the route."),
                Key("rest", Shape.keywords("all").or(.share), standard: "all", "Of all others."),
            ]),
        MapShape(
            .store, "How traces are kept.",
            [
                Key(
                    "path", .text,
                    "The folder; below the state folder unless given. No two meshes share one; what is stored stays where it is."),
                Key("for", .duration, standard: "24h", "How long, to the hour."),
                Key("max", .size, standard: "1GB", "How much; the oldest give way."),
            ]),
        MapShape(
            .collector, "Where traces are sent, with what that one wants.",
            [
                Key("url", .url, required: true, "Its OTLP/HTTP endpoint; `/v1/traces` is added."),
                Key("tls", .map(.callTLS), "How an https URL is checked; by the system's authorities unless given."),
                Key("headers", .dictionary(keys: .fieldName, values: .scalar(.argument)), "Fields of every request, a token above all."),
            ]),
    ]
}
