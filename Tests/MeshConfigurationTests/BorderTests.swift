import MeshConfiguration
import Testing

/// What a file may just say, and what is one step too far.
struct Border: CustomTestStringConvertible, Sendable {
    var code: String
    var name: String
    /// With `@` where the two files differ.
    var text: String
    var fine: String
    var wrong: String
    var executables: Set<String>?

    var testDescription: String { "\(code) \(name)" }

    private static func mesh(_ text: String) -> String { "mesh: shop\n" + text }

    /// A gateway, a service behind it, and one behind that.
    private static func chain(gateway: String = "", route: String = "orders", call: String = "{}", defaults: String = "{}") -> String {
        mesh(
            """
            defaults: \(defaults)
            gateway:
              run: bin/edge-gateway
              \(gateway.isEmpty ? "deadline: 10s" : gateway)
              routes: { /orders/**: \(route) }
            services:
              orders: { tier: domain, run: bin/orders, calls: { crm: \(call) } }
              crm: { tier: enterprise, run: bin/crm, replicas: 3 }
            """)
    }

    static let all: [Border] = [
        Border(
            code: "M002", name: "a key twice",
            text: mesh("services:\n  crm: { tier: enterprise, run: bin/crm }\n  @: { tier: enterprise, run: bin/x }"), fine: "tax",
            wrong: "crm"),
        Border(
            code: "M005", name: "a variable without a value", text: mesh("gateway: { run: bin/edge-gateway, listen: ${@} }"),
            fine: "MY_PORT:-8080", wrong: "MY_PORT"),
        Border(
            code: "M020", name: "a call to nobody",
            text: mesh("services:\n  a: { tier: domain, run: bin/a, calls: [@] }\n  crm: { tier: enterprise, run: bin/crm }"), fine: "crm",
            wrong: "crn"),
        Border(
            code: "M021", name: "a tier that there is not", text: mesh("services: { crm: { tier: @, run: bin/crm } }"), fine: "enterprise",
            wrong: "enterprize"),
        Border(
            code: "M022", name: "a call to the left",
            text: mesh("services:\n  a: { tier: @, run: bin/a, calls: [b] }\n  b: { tier: enterprise, run: bin/b }"), fine: "domain",
            wrong: "enterprise"),
        Border(
            code: "M023", name: "a circle",
            text: mesh(
                "same_tier: true\nservices:\n  a: { tier: domain, run: bin/a, calls: [b] }\n  b: { tier: domain, run: bin/b, calls: [@] }\n  c: { tier: domain, run: bin/c }"
            ),
            fine: "c", wrong: "a"),
        Border(
            code: "M024", name: "a service that nobody calls", text: chain().replacing("/orders/**: orders", with: "/orders/**: @"),
            fine: "orders", wrong: "crm"),
        Border(
            code: "M025", name: "a route behind one that takes all of its requests",
            text: chain().replacing(
                "routes: { /orders/**: orders }",
                with: "routes: [{ match: { path: /a, method: [GET, PUT] }, to: orders }, { match: { path: /a, method: @ }, to: orders }]"),
            fine: "POST", wrong: "PUT"),
        Border(
            code: "M030", name: "an attempt as long as the call", text: chain(call: "{ timeout: 200ms, attempt_timeout: @, retry: never }"),
            fine: "199ms", wrong: "200ms"),
        Border(
            code: "M031", name: "a call that may wait longer than the route above it",
            text: chain(route: "{ to: orders, timeout: 300ms }", call: "{ timeout: @ }"), fine: "300ms", wrong: "301ms"),
        Border(
            code: "M031", name: "a route that may last longer than the deadline",
            text: chain(gateway: "deadline: 1s", route: "{ to: orders, timeout: @ }", call: "{ timeout: 900ms }"), fine: "1s",
            wrong: "1001ms"),
        Border(
            code: "M031", name: "over two tiers, what the first call allows",
            text: mesh(
                """
                tiers: [edge, domain, stock, enterprise]
                services:
                  a: { tier: domain, run: bin/a, calls: { b: { timeout: 200ms } } }
                  b: { tier: stock, run: bin/b, calls: { c: { timeout: @ } } }
                  c: { tier: enterprise, run: bin/c }
                """), fine: "200ms", wrong: "201ms"),
        // The edge tries twice: two times two are four, which is the most; two times three are six.
        Border(
            code: "M032", name: "retries of two tiers, without credit",
            text: chain(gateway: "retry_credit: off", call: "{ retry: { attempts: @ } }"), fine: "2", wrong: "3"),
        // Two times five are ten, and of these the credit allows one more than itself.
        Border(
            code: "M032", name: "retries of two tiers, with credit",
            text: chain(gateway: "retry_credit: @", call: "{ retry: { attempts: 5 } }"), fine: "3", wrong: "4"),
        // 3 x 150 ms and pauses of at most 25 and 50 ms are 525 ms.
        Border(
            code: "M033", name: "attempts that don't fit into the call",
            text: chain(call: "{ timeout: @, attempt_timeout: 150ms, retry: { attempts: 3 } }"), fine: "525ms", wrong: "524ms"),
        // 2 x 400 ms, and a pause of which the cap leaves 10 ms.
        Border(
            code: "M033", name: "attempts of a route",
            text: chain(
                route: "{ to: orders, timeout: @ }", call: "{ timeout: 800ms, attempt_timeout: 300ms }",
                defaults: "{ attempt_timeout: 400ms, retry: { backoff: { base: 25ms, max: 10ms } } }"
            ), fine: "810ms", wrong: "809ms"),
        Border(
            code: "M034", name: "a POST that is repeated", text: chain(call: "{ retry: { methods: [GET, @] } }"), fine: "PUT", wrong: "POST"
        ),
        // A third of three is one; 33 % of them are none.
        Border(code: "M035", name: "an ejection of none", text: chain(call: "{ eject: { max: @ } }"), fine: "34%", wrong: "33%"),
        Border(
            code: "M040", name: "two on one port",
            text: mesh("gateway: { run: bin/edge-gateway, listen: 127.0.0.1:8080 }\nmetrics: { listen: \"127.0.0.1:@\" }"), fine: "8081",
            wrong: "8080"),
        Border(
            code: "M041", name: "a program that is not there", text: mesh("services: { crm: { tier: enterprise, run: bin/@ } }"),
            fine: "crm",
            wrong: "crn", executables: ["/mesh/bin/crm"]),
        Border(
            code: "M042", name: "weights that don't add up",
            text: mesh(
                """
                services:
                  crm:
                    tier: enterprise
                    versions: { v1: { run: bin/crm, weight: 90 }, v2: { run: bin/crm2, weight: @ } }
                """), fine: "10", wrong: "11"),
        Border(
            code: "M047", name: "more ready than there are",
            text: mesh("services: { crm: { tier: enterprise, run: bin/crm, replicas: 3, min_available: @ } }"), fine: "3", wrong: "4"),
        Border(
            code: "M043", name: "a secret",
            text: mesh("services: { crm: { tier: enterprise, run: bin/crm, env: { @: abcdef } } }"), fine: "API_TOKEN_FILE",
            wrong: "API_TOKEN"),
    ]
}

@Suite struct BorderTests {
    @Test(arguments: Border.all) func liesWhereItIsSaidToLie(_ border: Border) {
        func codes(_ value: String) -> [String] {
            let text = border.text.replacing("@", with: value)
            return judge(text, executables: border.executables).findings.map(\.code.rawValue)
        }
        #expect(codes(border.fine).isEmpty)
        #expect(codes(border.wrong) == [border.code])
    }

    @Test func everyFindingBeyondSyntaxHasOne() {
        let there = Set(Border.all.map(\.code))
        // Of words: an unusable route, and a key without effect; of the files beside it, whose tests have them.
        for code in FindingCode.allCases where code.rawValue >= "M020" && !["M026", "M044", "M045", "M046"].contains(code.rawValue) {
            #expect(there.contains(code.rawValue), "\(code)")
        }
    }
}
