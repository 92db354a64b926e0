/// The longer text of a code, for `mesh explain`.
package enum Explanation {
    /// - Parameter code: in either case: `M012`, `m012`.
    /// - Returns: nil for a code that isn't one of these; `FindingCode.allCases` has them all.
    package static func text(for code: String) -> String? {
        FindingCode(rawValue: code.uppercased()).map(text(for:))
    }

    package static func text(for code: FindingCode) -> String {
        let entry = entry(code)
        let example = entry.example.split(separator: "\n", omittingEmptySubsequences: false).map { "    \($0)" }.joined(separator: "\n")
        return """
            \(code.rawValue) (\(code.severity.rawValue)): \(entry.title)

            \(entry.meaning)

            Example:

            \(example)

            How to fix it: \(entry.fix)
            """
    }

    /// A few words that name the code in a list.
    package static func title(of code: FindingCode) -> String { entry(code).title }

    private struct Entry {
        var title: String
        var meaning: String
        var example: String
        var fix: String
    }

    private static func entry(_ code: FindingCode) -> Entry {
        switch code.rawValue {
        case "M001"..<"M010": fileEntry(code)
        case "M010"..<"M020": keyEntry(code)
        case "M020"..<"M030": graphEntry(code)
        case "M030"..<"M040": timeEntry(code)
        default: deploymentEntry(code)
        }
    }

    private static func fileEntry(_ code: FindingCode) -> Entry {
        switch code {
        case .duplicateKey:
            Entry(
                title: "a key stands twice in one map",
                meaning: "Which of the two should count can't be told. The mark is at the second; the message names the line of the first.",
                example: "services:\n  orders: { tier: domain, run: bin/orders }\n  orders: { tier: domain, run: bin/orders2 }",
                fix: "remove one of the two, or merge them.")
        case .unreadableFile:
            Entry(
                title: "a file can't be read",
                meaning: "The file, or one that it names, is missing, a folder, without permission, too large, or not UTF-8.",
                example: "include: [ services/*.yaml ]     # no patterns: every file by its name",
                fix: "correct the path (it starts at the folder of the file that has it), or write a mesh.yaml: the README shows one.")
        case .includeCycle:
            Entry(
                title: "a file includes itself",
                meaning: "By way of the marked line a file comes to include itself, so that there is no first one to lay the others over.",
                example: "# a.yaml\ninclude: b.yaml\n# b.yaml\ninclude: a.yaml", fix: "remove one of the includes.")
        case .unresolvedVariable:
            Entry(
                title: "a variable has no value",
                meaning:
                    "${NAME} is replaced from the environment after the file was read. This one is not set, or what stands between ${ and } is no name.",
                example: "gateway: { listen: \"${PORT}\" }",
                fix: "set the variable, or give it a default: ${PORT:-8080}. $${ stands for a plain ${.")
        case .oversizedDocument:
            Entry(
                title: "the document is too large",
                meaning: "It is nested too deeply, or aliases (*name) make it grow beyond what can be checked.",
                example: "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]      # and so on", fix: "nest less, and repeat less with aliases.")
        case .unknownProfile:
            Entry(
                title: "there is no such profile",
                meaning: "The profile that was asked for isn't among those under 'profiles:'.",
                example: "profiles:\n  dev: { services: { inventory: { replicas: 1 } } }",
                fix: "choose one of the profiles of the file, or add it.")
        default:
            Entry(
                title: "the file is not YAML",
                meaning: "The parser could not go on here. The cause is often in the line above: a missing colon, bracket or quote.",
                example: "services:\n  orders: { tier: domain\n  crm: { tier: enterprise }",
                fix: "close brackets and quotes, indent with spaces, and put text with special characters in quotes.")
        }
    }

    private static func keyEntry(_ code: FindingCode) -> Entry {
        switch code {
        case .missingKey:
            Entry(
                title: "a key is missing",
                meaning:
                    "A map lacks a key without which it means nothing: the name of the mesh, the tier of a service, or what a service runs.",
                example: "services:\n  orders: { run: bin/orders }      # tier is missing", fix: "add the key that the message names.")
        case .wrongKind:
            Entry(
                title: "a value is of the wrong kind",
                meaning: "There is a map where one value is wanted, a value where a map is wanted, or nothing at all.",
                example: "services: [orders, catalog]      # a map is wanted: name to service",
                fix: "write it as the allowed set says. Text that looks like a number or a boolean needs quotes where text is wanted.")
        case .unknownKey:
            Entry(
                title: "a key is unknown",
                meaning: "No such key exists at this place. It may be misspelt, or belong one level higher or lower.",
                example: "services:\n  orders:\n    calls:\n      ledger: { timout: 400ms }      # timeout",
                fix: "take the suggested key, or one of the allowed ones.")
        case .wrongValue:
            Entry(
                title: "a value can't be read",
                meaning:
                    "The value is not one of the allowed words, not in the allowed range, or has no unit. Durations: 250ms 2s 5m 24h. Sizes: 512KB 64MiB. Shares: 20% or 0.2. Rates: 200/s.",
                example: "defaults: { timeout: 800 }      # 800ms", fix: "write one of the allowed values.")
        case .conflictingKeys:
            Entry(
                title: "two keys exclude each other",
                meaning: "Each of the two says what the other says differently: a service runs, or is at a URL, or has versions.",
                example: "services:\n  rates: { tier: enterprise, run: bin/rates, url: \"http://localhost:9000\" }",
                fix: "keep one. Mind that includes and profiles merge key by key: the other key may stand in another file.")
        default:
            Entry(
                title: "a name can't be used",
                meaning:
                    "Names of meshes, services, tiers, versions and profiles begin with a letter and go on with letters, digits, - and _ (63 at most); 'gateway' is the gateway's. Keys of routes are '[METHOD ]pattern'.",
                example: "gateway:\n  routes:\n    get /search: catalog      # GET /search",
                fix: "choose another name, or the suggested one.")
        }
    }

    private static func graphEntry(_ code: FindingCode) -> Entry {
        switch code {
        case .unknownService:
            Entry(
                title: "a call or a route leads to no service",
                meaning: "What 'calls:' and routes name must stand under 'services:'. A service may call nothing that it doesn't list.",
                example: "services:\n  orders:\n    calls: { inventroy: {} }      # inventory", fix: "correct the name, or add the service."
            )
        case .unknownTier:
            Entry(
                title: "a service stands in an unknown tier",
                meaning: "The tier isn't in 'tiers:', from which the order of calls is taken.",
                example: "tiers: [edge, domain, enterprise]\nservices:\n  crm: { tier: backend, run: bin/crm }",
                fix: "use one of the tiers, or add it to 'tiers:' at its place.")
        case .callAgainstTiers:
            Entry(
                title: "a call goes against the order of tiers",
                meaning:
                    "Calls go to the right in 'tiers:' only, so that a failure of an outer tier can't hold up an inner one, and deadlines shrink in one direction.",
                example: "services:\n  inventory: { tier: enterprise, run: bin/inventory, calls: { orders: {} } }   # orders: domain",
                fix: "move one of the two to another tier, turn the call around, or, for peers, set 'same_tier: true'.")
        case .callCycle:
            Entry(
                title: "calls go in a circle",
                meaning: "There is no order in which these services could start, and a request could go round until its deadline.",
                example:
                    "services:\n  a: { tier: domain, run: bin/a, calls: { b: {} } }\n  b: { tier: domain, run: bin/b, calls: { a: {} } }",
                fix: "remove one of the calls; often both need a third service.")
        case .unreachableService:
            Entry(
                title: "nothing leads to a service",
                meaning: "No route and no call of a reachable service names it, so it never gets a request.",
                example: "services:\n  reports: { tier: domain, run: bin/reports }      # no route to it",
                fix: "add a route, list it under the 'calls:' of its caller, or remove it.")
        case .unusableRoute:
            Entry(
                title: "a route can't be carried out",
                meaning:
                    "A rewrite or redirect speaks of something that the pattern does not stand for, a header is not a route's to change, or an origin is none.",
                example: "gateway:\n  routes:\n    /search: { to: catalog, rewrite: /catalog/** }      # /search has no **",
                fix: "take out, or correct, the part that the finding names.")
        default:
            Entry(
                title: "no request reaches a route",
                meaning:
                    "Another route takes the same requests, the gateway answers the path itself, or no path in its normal form looks like that.",
                example: "gateway:\n  routes:\n    /-/healthy: catalog      # the gateway's own",
                fix: "remove the route, or change its path.")
        }
    }

    private static func timeEntry(_ code: FindingCode) -> Entry {
        switch code {
        case .attemptTimeoutTooLong:
            Entry(
                title: "one attempt may take as long as the whole call",
                meaning:
                    "'timeout' is for all attempts of a call. With an attempt_timeout that is not shorter, a hanging attempt uses it all up.",
                example: "calls:\n  inventory: { timeout: 200ms, attempt_timeout: 200ms }",
                fix: "make attempt_timeout shorter than timeout, or leave it out where hanging attempts need no retry.")
        case .childTimeoutTooLong:
            Entry(
                title: "a call may wait longer than its caller has time",
                meaning:
                    "The deadline is handed down the tiers: a call never waits longer than what is left for its caller. A longer timeout below can't come true, and when time runs out it is the outer call that fails, without a chance to answer something better.",
                example:
                    "gateway: { routes: { /catalog/**: { to: catalog, timeout: 300ms } } }\nservices:\n  catalog: { calls: { inventory: { timeout: 800ms } } }",
                fix: "make the inner timeout a little shorter than the outer one, or the outer one longer.")
        case .retryMultiplication:
            Entry(
                title: "retries of several tiers multiply",
                meaning:
                    "If every tier tries again, the last one gets the product of all attempts, just when it is in trouble. More than 4 are worth a warning. gateway.retry_credit bounds the extra attempts of all tiers together, where it is on.",
                example:
                    "gateway: { retry_credit: off }\ndefaults: { retry: { attempts: 2 } }      # edge 2\nservices:\n  orders: { calls: { inventory: { retry: { attempts: 3 } } } }      # x 3 = 6",
                fix:
                    "leave gateway.retry_credit on (3 unless said otherwise), or retry in one tier only, the one nearest the failure: retry: never in the others."
            )
        case .retriesExceedDeadline:
            Entry(
                title: "the attempts don't fit into the call",
                meaning:
                    "Attempts times attempt_timeout, with the longest pauses between them, is more than timeout: the last attempts are cut short.",
                example: "calls:\n  inventory: { timeout: 300ms, attempt_timeout: 150ms, retry: { attempts: 3 } }",
                fix: "shorten attempt_timeout, allow fewer attempts, or lengthen timeout.")
        case .retryOfUnsafeMethod:
            Entry(
                title: "a request that is not idempotent may be sent twice",
                meaning:
                    "POST and PATCH may do their work twice when they are repeated. By default they are repeated only with an Idempotency-Key or on a route marked idempotent; here 'methods:' has them repeated always.",
                example: "defaults: { retry: { methods: [GET, POST] } }",
                fix:
                    "take the method out of retry.methods and send an Idempotency-Key, or mark the routes that are safe with 'idempotent: true'."
            )
        default:
            Entry(
                title: "the share of endpoints to eject rounds to none",
                meaning: "eject.max is a share of the endpoints, rounded down. With so few endpoints it is less than one.",
                example:
                    "services:\n  inventory: { tier: enterprise, run: bin/inventory, replicas: 3 }\n# with calls: { inventory: { eject: { max: 20% } } }",
                fix: "raise eject.max, run more replicas, or say 'eject: off'.")
        }
    }

    private static func deploymentEntry(_ code: FindingCode) -> Entry {
        switch code {
        case .portConflict:
            Entry(
                title: "two listen on one port",
                meaning: "Only one of them can have it. (Two external services at one address are a warning.)",
                example: "gateway: { listen: 8080 }\nmetrics: { listen: 127.0.0.1:8080 }", fix: "give one of them another port.")
        case .missingExecutable:
            Entry(
                title: "an executable is missing",
                meaning:
                    "What 'run:' names isn't there, or can't be executed. A name with a slash starts at the file's folder; one without is looked up in PATH.",
                example: "services:\n  ledger: { tier: enterprise, run: .build/release/ledger }      # not built yet",
                fix: "build it (make build), install it, or correct the path.")
        case .weightsDoNotAddUp:
            Entry(
                title: "weights don't add up to 100", meaning: "Weights of versions, or of a route's services, are shares of 100.",
                example: "versions:\n  v1: { run: bin/catalog, weight: 90 }\n  v2: { run: bin/catalog2, weight: 20 }",
                fix: "change them so that they add up, or leave them all out for equal shares.")
        case .secretInFile:
            Entry(
                title: "a secret is written in the file",
                meaning: "A value looks like a password, token or key. mesh.yaml is made to be shared and kept in version control.",
                example: "env: { DB_PASSWORD: \"hunter2\" }",
                fix: "take it from the environment (DB_PASSWORD: ${DB_PASSWORD}), and change the secret if the file was shared.")
        case .wrongVariable:
            Entry(
                title: "a variable can't be read from its file",
                meaning:
                    "An env_file has a line that is no NAME=value, or the file of a secret is empty or no text, or 'env' names the same variable. Messages name the line and never show it.",
                example: "# settings.env\nREGION=eu-1\nGREETING=\"hello there\"   # quotes hold blanks together\nexport LEVEL=info",
                fix: "correct the line; the file of a secret holds its value and nothing else.")
        case .exposedSecret:
            Entry(
                title: "others can read a secret",
                meaning:
                    "The file of a secret, or an env_file with a variable that is named like one, can be read by other users of this machine.",
                example: "-rw-r--r-- 1 shop shop 33 db.password      # mode 0644", fix: "chmod 600 FILE, and change the secret if need be.")
        case .moreAvailableThanReplicas:
            Entry(
                title: "more replicas must be ready than there are",
                meaning:
                    "min_available says how many of a service's replicas are enough for it to be ready. With more than there are, all must be, as without it.",
                example: "inventory: { tier: enterprise, run: bin/inventory, replicas: 3, min_available: 4 }",
                fix: "a number below replicas, or a share: min_available: 60%.")
        default:
            Entry(
                title: "a key has no effect yet",
                meaning: "The key is known and its value was checked, but this version doesn't carry it out.",
                example: "services:\n  ledger: { on: [host-a] }", fix: "leave it for a later version, or remove it.")
        }
    }
}
