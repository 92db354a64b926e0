extension Schema {
    static let serviceMaps: [MapShape] = [
        MapShape(
            .service, "A service: a program of ours (run, or versions), or one that others run (url).",
            [
                Key("tier", .name, required: true, "The tier that it stands in."),
                Key("run", .command, "The command that starts it, as text or as a list of words."),
                Key("url", .oneOrMore(.url), "Where a service is that others run: called, never started."),
                Key("args", .list(of: .scalar(.argument)), "Arguments after those of the command."),
                Key("env", .dictionary(keys: .variableName, values: .scalar(.argument)), "Environment variables."),
                Key("env_file", .oneOrMore(.text), "Files of NAME=value lines, read at every start. `env` counts over them."),
                Key(
                    "secrets", .dictionary(keys: .variableName, values: .text),
                    "Variables, each with the file that holds its value: read at every start, handed to the process alone, and kept nowhere."
                ),
                Key("replicas", .integer(1...1000), standard: "1", "How many processes."),
                Key(
                    "min_available", Shape.integer(1...1000).or(.share), standard: "all",
                    "How many of them (of each version) are enough for the service to be ready: for `mesh up`, and for services that call it."
                ),
                Key(
                    "versions", .dictionary(keys: .name, values: .map(.version), atLeast: 1),
                    "Several versions side by side, each with a share of the calls."),
                Key(
                    "sidecar", .keywords("library", "process"), standard: "library",
                    "Whether the program links the sidecar, or gets one beside it."),
                Key(
                    "calls", .either([.dictionary(keys: .name, values: Shape.map(.call).or(.empty)), .list(of: .name)]),
                    "The services that it calls: its start order, and what it may call."),
                Key(
                    "wait_for_calls", .boolean, standard: "true",
                    "Whether it is started only when what it calls is ready; `false` for one that does without at first."),
                Key("ready", probe, standard: "GET /healthz", "When it may get requests."),
                Key("live", probe, "When it must be restarted."),
                Key("startup", probe, "When it has started; until then the other two don't count."),
                Key(
                    "restart", Shape.keywords("always", "on_failure", "never").or(.map(.restart)), standard: "always",
                    "What is done when it ends."),
                Key("limits", .map(.limits), "What it may take."),
                Key("deploy", .map(.deploy), "How a new version comes in."),
                Key("on", .oneOrMore(.text), "The hosts that it may run on."),
            ], [.exactlyOne("run", "url", "versions")]),
        MapShape(
            .version, "One version of a service.",
            [
                Key("run", .command, required: true, "The command that starts it."),
                Key("weight", .integer(0...100), "Its share of the calls, of 100; equal shares where no version has one."),
                Key("replicas", .integer(1...1000), standard: "the service's", "How many processes."),
                Key("args", .list(of: .scalar(.argument)), "Arguments after those of the command."),
                Key(
                    "env", .dictionary(keys: .variableName, values: .scalar(.argument)), "Environment variables, over those of the service."
                ),
            ]),
        MapShape(
            .probe, "A question asked again and again.",
            [
                Key("get", .path, "A path that must answer with 2xx or 3xx."),
                Key(
                    "tcp", .boolean,
                    "Whether a connection must be accepted. The mesh opens a service's socket before it starts the service, so this passes at once for one that takes that socket over; ask by `get` whether it answers."
                ),
                Key("exec", .text, "A command that must end with 0."),
                Key("log", .text, "A pattern that must appear in the log."),
                Key("every", .duration, standard: "1s", "How often it is asked."),
                Key("timeout", .duration, standard: "1s", "How long an answer may take."),
                Key("failures", .integer(1...1000), standard: "3", "How many wrong answers in a row count."),
                Key("within", .duration, standard: "30s", "How long the first good answer may take."),
            ], [.atMostOne("get", "tcp", "exec", "log")]),
        MapShape(
            .restart, "What is done when a process ends.",
            [
                Key("policy", .keywords("always", "on_failure", "never"), standard: "always", "When it is started again."),
                Key("backoff", .map(.restartBackoff), "How long is waited."),
            ]),
        MapShape(
            .restartBackoff, "How long is waited before a start; twice as long each time.",
            [
                Key("base", .duration, standard: "200ms", "Before the first."),
                Key("max", .duration, standard: "30s", "At most."),
            ]),
        MapShape(
            .limits, "What a process may take.",
            [
                Key("memory", .size, "A process that takes more is killed, and started again as `restart` says."),
                Key("cpu", .scalar(.number(above: 0, upTo: 4096)), "Cores; rounded up to whole ones where no control group is delegated."),
                Key("files", .integer(16...10_000_000), "Open files, connections included."),
                Key(
                    "in_flight", Shape.integer(1...1_000_000).or(.keywords("gradient2")),
                    "Requests that one instance works on at once; gradient2 finds the number by how long they take."),
            ]),
        MapShape(
            .deploy, "How a new version comes in.",
            [
                Key(
                    "strategy", .keywords("rolling", "recreate", "blue_green", "canary"), standard: "rolling",
                    "A few at a time; all old ones first; all new ones beside the old, then all calls at once; a share of the calls first."),
                Key("max_surge", Shape.integer(0...1000).or(.share), standard: "1", "How many more than replicas may run meanwhile."),
                Key("max_unavailable", Shape.integer(0...1000).or(.share), standard: "0", "How many fewer may be ready meanwhile."),
                Key("min_healthy_time", .duration, standard: "1s", "How long a new one must be ready before the next is touched."),
                Key("drain", .scalar(.duration(canBeZero: true)), standard: "15s", "How long an old one may finish its requests."),
                Key("canary", Shape.list(of: .share).or(.map(.canary)), "The steps of a canary."),
            ]),
        MapShape(
            .canary, "The steps of a canary.",
            [
                Key("steps", .list(of: .share), required: true, "Shares of the calls, one after the other."),
                Key("pause", .duration, standard: "1m", "How long each step lasts; twice as long where too few calls come to compare."),
            ]),
    ]

    private static let probe = Shape.scalar(.requestLine).or(.keywords("tcp"), .map(.probe))

    static let callMaps: [MapShape] = [
        MapShape(
            .call, "How a call behaves.",
            [
                Key("timeout", .duration, standard: "2s", "The whole call, retries included."),
                Key("attempt_timeout", .duration, standard: "what is left of the call", "One attempt."),
                Key("connect_timeout", .duration, standard: "1s", "Opening a connection."),
                Key("idle_timeout", .duration, standard: "60s", "How long an unused connection is kept."),
                Key("retry", Shape.keywords("never").or(.map(.retry)), "When a failed attempt is repeated."),
                Key("breaker", Shape.off.or(.map(.breaker)), "When a failing endpoint is left alone."),
                Key("eject", Shape.off.or(.map(.eject)), "When an endpoint that is worse than the others is left alone."),
                Key(
                    "balance", Shape.keywords("p2c", "round_robin", "least_requests").or(.map(.balance)), standard: "p2c",
                    "How an endpoint is chosen."),
                Key(
                    "slow_start", Shape.scalar(.duration(canBeZero: true)).or(.off), standard: "10s",
                    "How long a new endpoint takes to get its full share."),
                Key(
                    "hedge", Shape.off.or(.map(.hedge)), standard: "off",
                    "A second attempt beside a slow first one, to another endpoint; it counts among the attempts of `retry`."),
                Key("bulkhead", .map(.bulkhead), "How many calls there may be at once."),
                Key(
                    "limit", Shape.keywords("gradient2").or(.off, .scalar(.fixedLimit), .map(.fixedLimit)), standard: "off",
                    "How many calls one caller has under way at once; gradient2 finds the number by how long they take."),
                Key("protocol", .keywords("http1", "http2", "auto"), standard: "auto", "The protocol."),
                Key("tls", .map(.callTLS), "How an https URL is checked."),
                Key("fault", .map(.fault), "Trouble made on purpose."),
            ]),
        MapShape(
            .retry, "When a failed attempt is repeated.",
            [
                Key("attempts", .integer(1...5), standard: "2", "All tries, the first included."),
                Key(
                    "on",
                    .oneOrMore(
                        Shape.keywords("connect", "reset", "timeout", "5xx").or(
                            .integer(400...599),
                            .keywords(
                                "CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL", "UNAVAILABLE",
                                "DATA_LOSS"))), standard: "[connect, reset, 502, 503, 504, UNAVAILABLE]", "What is repeated."),
                Key(
                    "methods", .oneOrMore(.keywords("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH", "TRACE")),
                    standard: "[GET, HEAD, OPTIONS, PUT, DELETE]", "What may be sent twice."),
                Key("backoff", .map(.backoff), "How long is waited."),
                Key("budget", .share, standard: "20%", "How many of an edge's calls may be repeated."),
                Key("reserve", .scalar(.rate), standard: "5/s", "What may be repeated however few calls there are."),
            ]),
        MapShape(
            .backoff, "How long is waited before a repeat: a random time up to the base, doubled each time.",
            [
                Key("base", .duration, standard: "25ms", "Before the first."),
                Key("max", .duration, standard: "250ms", "At most."),
            ]),
        MapShape(
            .breaker, "When a failing endpoint is left alone.",
            [
                Key("errors", .share, standard: "50%", "The share of failures that opens it."),
                Key("consecutive", .integer(1...10_000), standard: "5", "The failures in a row that open it."),
                Key("min_calls", .integer(1...1_000_000), standard: "20", "The calls before the share counts."),
                Key("window", .duration, standard: "10s", "The time that the share is of."),
                Key("open_for", .duration, standard: "5s", "How long it stays open at first."),
                Key("max_open", .duration, standard: "60s", "How long it stays open at most."),
                Key("slow", .map(.slow), "Slow calls that count like failures."),
            ]),
        MapShape(
            .slow, "Slow calls that open a breaker.",
            [
                Key("over", .duration, standard: "1s", "What is slow."),
                Key("share", .share, standard: "50%", "The share of slow calls that opens it."),
            ]),
        MapShape(
            .eject, "When an endpoint that is worse than the others is left alone.",
            [
                Key("sigma", .scalar(.number(above: 0, upTo: 10)), standard: "1.9", "How many standard deviations below the mean."),
                Key("max", .share, standard: "50%", "How many of the endpoints at once."),
            ]),
        MapShape(
            .balance, "How an endpoint is chosen.",
            [Key("hash", Shape.keywords("source").or(.map(.hash)), "The same endpoint for the same value.")]),
        MapShape(
            .hash, "The value that is hashed.",
            [
                Key("header", .scalar(.fieldName), "A header's."),
                Key("cookie", .scalar(.fieldName), "A cookie's."),
                Key("source", .boolean, "The client's address."),
            ], [.exactlyOne("header", "cookie", "source")]),
        MapShape(
            .hedge, "A second attempt beside a slow first one.",
            [
                Key(
                    "after", Shape.scalar(.percentile).or(.duration), standard: "p95",
                    "When the first counts as slow; a percentile is of what the answers take."),
                Key("max", .share, standard: "5%", "Of how many calls at most."),
            ]),
        MapShape(
            .bulkhead, "How many calls there may be at once.",
            [
                Key("calls", .integer(1...1_000_000), standard: "1024", "Under way."),
                Key("pending", .integer(0...1_000_000), standard: "1024", "Waiting for a connection."),
            ]),
        MapShape(.fixedLimit, "A fixed limit.", [Key("fixed", .integer(1...999_999), "Calls at once.")]),
        MapShape(
            .callTLS, "How an https URL is checked.",
            [
                Key("ca", .text, "The file with the authorities that are believed (PEM)."),
                Key("verify", .boolean, standard: "true", "Whether the certificate is checked."),
            ]),
    ]
}
