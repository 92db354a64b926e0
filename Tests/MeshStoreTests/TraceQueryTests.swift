import MeshModel
import MeshStore
import TestSupport
import Testing

@Suite("Trace query", .calculating)
struct TraceQueryTests {
    private static func time(_ comparison: TraceQuery.Comparison, _ milliseconds: Int64) -> TraceQuery {
        .term(.time(comparison, .milliseconds(milliseconds)))
    }

    private static let service = TraceQuery.term(.service("a"))
    private static let other = TraceQuery.term(.service("b"))
    private static let third = TraceQuery.term(.service("c"))

    static let understood: [(String, TraceQuery)] = [
        ("", .all),
        ("   ", .all),
        ("service:ledger", .term(.service("ledger"))),
        ("SERVICE:ledger", .term(.service("ledger"))),
        ("tier=enterprise", .term(.tier("enterprise"))),
        (#"route:"POST /orders""#, .term(.route("POST /orders"))),
        (#"route:'POST /or"ders'"#, .term(.route(#"POST /or"ders"#))),
        (#"route:"a\"b""#, .term(.route(#"a"b"#))),
        ("route:/a=b", .term(.route("/a=b"))),
        ("route:/orders/*", .term(.route("/orders/*"))),
        ("time>300ms", time(.greater, 300)),
        ("time > 300ms", time(.greater, 300)),
        ("time>=1.5s", time(.atLeast, 1_500)),
        ("time<2m", time(.less, 120_000)),
        ("time<=500us", .term(.time(.atMost, .microseconds(500)))),
        ("status>=500", .term(.status(.atLeast, 500))),
        ("status:404", .term(.status(.equal, 404))),
        ("status!=200", .term(.status(.unequal, 200))),
        ("status:5xx", .term(.statusClass(5))),
        ("attempts>1", .term(.attempts(.greater, 1))),
        ("flag:ut", .term(.flag(.upstreamTimeout))),
        ("flag:URX", .term(.flag(.retriesExhausted))),
        ("id:8F3A", .term(.id("8f3a"))),
        ("service:a service:b", .and(service, other)),
        ("service:a and service:b", .and(service, other)),
        ("service:a or service:b", .or(service, other)),
        ("service:a or service:b service:c", .or(service, .and(other, third))),
        ("service:a service:b or service:c", .or(.and(service, other), third)),
        ("(service:a or service:b) service:c", .and(.or(service, other), third)),
        ("not service:a service:b", .and(.not(service), other)),
        ("not (service:a or service:b)", .not(.or(service, other))),
        ("not not service:a", .not(.not(service))),
        ("service:a AND NOT service:b", .and(service, .not(other))),
        ("(service:a)(service:b)", .and(service, other)),
        ("service:or", .term(.service("or"))),
        ("version:v2", .term(.version("v2"))),
        ("breaker:open", .term(.flag(.breakerOpen))),
        ("slower:p99.9", .term(.slower(0.999))),
        ("errors>0", .term(.errors(.greater, 0))),
        ("spans>=50", .term(.spans(.atLeast, 50))),
        ("self>50ms", .term(.span(.init([.selfTime(.greater, .milliseconds(50))])))),
        ("attr.order_id:42", .term(.span(.init([.attribute("order_id", .equal, "42")])))),
        ("attr.Size>=1.5", .term(.span(.init([.attribute("Size", .atLeast, "1.5")])))),
        (
            "service:a self>50ms",
            .and(service, .term(.span(.init([.selfTime(.greater, .milliseconds(50))], services: ["a"]))))
        ),
        (
            "attr.x:1 tier:t attr.y!=2",
            .and(
                .term(.tier("t")), .term(.span(.init([.attribute("x", .equal, "1"), .attribute("y", .unequal, "2")], tiers: ["t"]))))
        ),
        (
            "service:a (self>50ms or service:b)",
            .and(service, .or(.term(.span(.init([.selfTime(.greater, .milliseconds(50))]))), other))
        ),
    ]

    @Test(arguments: understood)
    func understands(text: String, expected: TraceQuery) throws {
        #expect(try TraceQuery(text) == expected)
    }

    @Test func understandsGroups() throws {
        #expect(try TraceRequest("| by route") == TraceRequest(.all, grouping: TraceGrouping(by: .route)))
        #expect(
            try TraceRequest("service:a | by version p50,p99.9 max, errors")
                == TraceRequest(Self.service, grouping: TraceGrouping(by: .version, [.quantile(0.5), .quantile(0.999), .most, .errors])))
        #expect(try TraceRequest("|by attr.region mean").grouping == TraceGrouping(by: .attribute("region"), [.mean]))
        #expect(try TraceRequest("route:\"a|b\"").grouping == nil)
        #expect(throws: TraceQueryError.self) { try TraceQuery("service:a | by route") }
    }

    static let wrongGroups: [(String, Int, String)] = [
        ("service:a |", 12, "by"), ("service:a | version", 13, "by"), ("| by", 5, "version"), ("| by colour", 6, "version"),
        ("| by route p50,p101", 16, "p99"), ("| by route p50 (", 16, "p50"), ("(service:a | by route)", 12, "not closed"),
    ]

    @Test(arguments: wrongGroups)
    func pointsAtWhatIsWrongInGroups(text: String, column: Int, word: String) {
        let error = #expect(throws: TraceQueryError.self) { try TraceRequest(text) }
        #expect(error.map { $0.column } == (word == "not closed" ? 1 : column), "\(error?.description ?? "")")
        #expect(word == "not closed" || error?.allowed.contains(word) == true)
    }

    static let refused: [(String, Int, String, String?)] = [
        ("tme>300ms", 1, "unknown word 'tme'", "time"),
        ("service:a stats:500", 11, "did you mean 'status'", "status"),
        ("time>300", 6, "'300' is no time", "250ms"),
        ("time:300ms", 5, "cannot be compared by ':'", ">="),
        ("service>a", 8, "cannot be compared by '>'", ":"),
        ("service", 8, "is to be compared", ":"),
        ("service:", 9, "lacks its value", nil),
        ("service: and", 10, "", nil),
        ("status:abc", 8, "no HTTP status", nil),
        ("status:99", 8, "no HTTP status", nil),
        ("status>5xx", 8, "only be compared by ':'", ":"),
        ("attempts>many", 10, "no number", nil),
        ("flag:ZZ", 6, "unknown flag 'ZZ'", "UT"),
        ("id:xyz", 4, "trace id", nil),
        ("(service:a", 1, "not closed", nil),
        ("service:a)", 10, "has no '('", nil),
        (#"route:"POST"#, 7, "quote is not closed", nil),
        ("service:a or", 13, "ends where a condition should stand", "route"),
        ("not", 4, "ends where a condition should stand", "route"),
        ("or service:a", 1, "unknown word 'or'", nil),
        (">5", 1, "no word before it", "time"),
        ("service:a ! service:b", 11, "say 'not'", nil),
        (#"service:"""#, 9, "not empty", nil),
        ("()", 2, "a condition should stand here", "service"),
        ("duration>3s", 1, "did you mean 'time'", "time"),
        ("servce:a", 1, "did you mean 'service'", "service"),
        ("self:50ms", 5, "cannot be compared by ':'", ">"),
        ("attr.:1", 1, "unknown word 'attr.'", "attr.NAME"),
        ("attr.a", 7, "'attr.a' is to be compared", "!="),
        ("slower:99", 8, "no percentile", "p99"),
        ("breaker:closed", 9, "refuses calls", "open"),
    ]

    @Test(arguments: refused.filter { $0.0 != "service: and" })
    func pointsAtWhatIsWrong(text: String, column: Int, message: String, allowed: String?) {
        let error = #expect(throws: TraceQueryError.self) { try TraceQuery(text) }
        #expect(error?.column == column)
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
        if let allowed { #expect(error?.allowed.contains(allowed) == true) }
    }

    @Test func depthAndLengthAreBounded() {
        let deep = String(repeating: "(", count: 60) + "service:a" + String(repeating: ")", count: 60)
        #expect(throws: TraceQueryError.self) { try TraceQuery(deep) }
        #expect(throws: TraceQueryError.self) { try TraceQuery(String(repeating: "not ", count: 60) + "service:a") }
        #expect(throws: TraceQueryError.self) { try TraceQuery(String(repeating: "service:a ", count: 500)) }
    }

    @Test(arguments: 0..<500 as Range<UInt64>)
    func noiseIsAnErrorAndNeverACrash(seed: UInt64) {
        var random = RandomSource(seed: seed)
        let pieces = [
            "service", ":", "a", "(", ")", " ", "not ", "or ", "and ", "time", ">", "300ms", "\"", "!", "=", "é", "\\", "\u{0}", "<", "|",
            "by ", "attr.", "p9",
        ]
        let text = (0..<random.next(below: 14)).map { _ in pieces[random.next(below: pieces.count)] }.joined()
        do throws(TraceQueryError) {
            _ = try TraceQuery(text)
        } catch {
            #expect((1...text.count + 1).contains(error.column))
        }
    }
}
