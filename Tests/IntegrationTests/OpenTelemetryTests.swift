import Curl
import Foundation
import TestSupport
import Testing

/// What OpenTelemetry's own programs and messages make of this mesh, and it of them.
extension RealProcesses {
    @Suite struct OpenTelemetryTests {
        private static func chain(gateway: String = "", traces: String) -> String {
            """
            mesh: chain
            gateway: { run: "${BIN}/edge-gateway", listen: "127.0.0.1:0", routes: { "/**": relay }\(gateway) }
            services:
              relay: { tier: domain, run: "${BIN}/relay", calls: { echo: {} } }
              echo:  { tier: enterprise, run: "${BIN}/echo" }
            traces: { \(traces) }
            """
        }

        @Test func aProgramWithTheSDKStandsInOneTraceWithTheMesh() throws {
            let mesh = try TestMesh(Self.chain(gateway: ", trace_context: continue", traces: #"otlp_listen: "127.0.0.1:0""#))
            try mesh.up()
            let address = try #require(try mesh.statistics["otlp_address"] as? String)
            let run = try RunningCommand(
                Programs.python, [Programs.python("checkout.py"), try mesh.gateway, "http://\(address)"], environment: mesh.environment,
                folder: mesh.folder
            ).end(within: 60)
            try #require(run.status == 0, "\(run.errors)")
            let id = run.output.trimmingCharacters(in: .whitespacesAndNewlines)
            let spans = try mesh.trace(id, with: ["checkout", "gateway", "relay", "echo"])
            func span(_ service: String, _ name: String? = nil) throws -> [String: Any] {
                try #require(
                    spans.first { $0["service"] as? String == service && (name == nil || $0["name"] as? String == name) },
                    "\(service) \(name ?? "")")
            }
            let root = try span("checkout", "checkout")
            let client = try span("checkout", "GET")
            #expect(root["parent_span_id"] as? String == nil)
            #expect(client["parent_span_id"] as? String == root["span_id"] as? String)
            let inbound = try #require(spans.first { $0["service"] as? String == "gateway" && $0["kind"] as? String == "server" })
            #expect(inbound["parent_span_id"] as? String == client["span_id"] as? String)
            #expect((root["attributes"] as? [String: Any])?["cart.items"] as? Int == 3)
            #expect((root["events"] as? [[String: Any]])?.first?["name"] as? String == "priced")

            let read = try Self.read("otlp", of: id, in: mesh)
            let types = try #require(read.first { $0["name"] as? String == "checkout" }?["types"] as? [String: String])
            for (key, type) in [
                "items": "int_value", "total": "double_value", "gift": "bool_value", "name": "string_value",
                "skus": "array of string_value", "counts": "array of int_value", "prices": "array of double_value",
                "flags": "array of bool_value",
            ] { #expect(types["cart.\(key)"] == type, "\(key)") }
            #expect(Set(read.compactMap { $0["id"] as? String }) == Set(spans.compactMap { $0["span_id"] as? String }))
        }

        /// A trace as another tool's reader understands our file.
        private static func read(_ format: String, of trace: String, in mesh: TestMesh) throws -> [[String: Any]] {
            let file = mesh.folder.appending(path: "\(format).json").path(percentEncoded: false)
            let export = try mesh.mesh("traces", "export", trace, "--format", format, "-o", file)
            try #require(export.status == 0, "\(export.errors)")
            let run = try RunningCommand(
                Programs.python, [Programs.python("readers.py"), format, file], environment: mesh.environment, folder: mesh.folder
            ).end(within: 60)
            try #require(run.status == 0, "\(format): \(run.errors)")
            return run.objects
        }

        @Test func everyExportTellsOthersTheSame() throws {
            let mesh = try TestMesh(Self.chain(traces: "keep: all"))
            try mesh.up()
            #expect(try mesh.send("GET", "/").status == 200)
            let failed = try #require(try mesh.send("GET", "/status/503").headers["mesh-trace"])
            let spans = try mesh.trace(failed, with: ["gateway", "relay", "echo"])
            // Parts of a microsecond are cut, and an end is cut from another number than a duration.
            func isNear(_ left: Any?, _ right: Int) -> Bool { abs((left as? Int ?? .min / 2) - right) <= 1 }
            for format in ["otlp", "zipkin", "jaeger", "chrome"] {
                let read = try Self.read(format, of: failed, in: mesh)
                #expect(read.count == spans.count, "\(format)")
                for span in spans {
                    let id = try #require(span["span_id"] as? String)
                    let other = try #require(read.first { $0["id"] as? String == id }, "\(format) lacks \(span)")
                    #expect(other["trace"] as? String == failed)
                    #expect(
                        other["name"] as? String == span["name"] as? String && other["service"] as? String == span["service"] as? String)
                    #expect(isNear(other["start"], (span["start_unix_nano"] as? Int ?? 0) / 1_000), "\(format) \(other)")
                    #expect(isNear(other["duration"], max(1, (span["duration_ns"] as? Int ?? 0) / 1_000)), "\(format) \(other)")
                    // Chrome's form knows no parents and no errors.
                    guard format != "chrome" else { continue }
                    #expect(other["parent"] as? String == span["parent_span_id"] as? String ?? "", "\(format)")
                    #expect(other["error"] as? Bool == (span["status"] as? String == "error"), "\(format) \(other)")
                }
            }
        }

        @Test func aCollectorGetsEverySpanOnceItIsThere() throws {
            let environment = ProcessInfo.processInfo.environment
            let collector = try RunningCommand(
                Programs.python, [Programs.python("collector.py")], environment: environment, folder: FileManager.default.temporaryDirectory
            )
            defer {
                collector.signal(SIGINT)
                _ = collector.end(within: 10)
            }
            #expect(Wait.until(30) { collector.output.contains("\n") }, "\(collector.errors)")
            let port = collector.output.prefix { $0 != "\n" }
            let mesh = try TestMesh(Self.chain(traces: #"export: ["http://127.0.0.1:\#(port)/otlp"]"#))
            try mesh.up()
            for _ in 0..<20 { #expect(try mesh.send("GET", "/").status == 200) }
            #expect(try mesh.send("GET", "/status/503").status == 503)
            func spans() -> [[String: Any]] {
                collector.output.split(separator: "\n").dropFirst().compactMap {
                    (try? JSONSerialization.jsonObject(with: Data($0.utf8))) as? [String: Any]
                }
            }
            func servers() -> Int { spans().filter { $0["service"] as? String == "gateway" && $0["kind"] as? Int == 2 }.count }
            // The first request is refused, and the same spans are sent again.
            #expect(Wait.until(30) { servers() == 21 }, "\(servers()) traces: \((try? mesh.statistics) ?? [:])")
            let all = spans()
            let ids = Set(all.compactMap { $0["span_id"] as? String })
            #expect(ids.count == all.count, "none comes twice")
            for span in all {
                #expect((span["trace_id"] as? String)?.count == 32 && (span["span_id"] as? String)?.count == 16)
                let parent = span["parent_span_id"] as? String ?? ""
                #expect(parent.isEmpty ? span["service"] as? String == "gateway" : ids.contains(parent), "\(span)")
                #expect((span["end"] as? Int ?? 0) >= (span["start"] as? Int ?? .max))
                #expect((span["name"] as? String)?.isEmpty == false)
                let types = span["types"] as? [String: String] ?? [:]
                for (key, type) in types { if let wanted = Self.types[key] { #expect(type == wanted, "\(key)") } }
                let required: [String] =
                    switch span["kind"] as? Int {
                    case 2: ["http.request.method", "url.path", "url.scheme", "http.response.status_code"]
                    case 3: ["http.request.method", "http.response.status_code"]
                    default: []
                    }
                for key in required { #expect(types[key] != nil, "\(key) on \(span)") }
                if span["status"] as? Int == 2 { #expect(types["error.type"] == "string_value", "\(span)") }
            }
            #expect(try mesh.statistics["spans_dropped_by_export"] as? Int == 0)
        }

        /// A collector of somebody else's, as most are: https, by a certificate of an own authority, with a token.
        @Test func aCollectorIsSpokenToByHTTPS() throws {
            let mesh = try TestMesh(Self.chain(traces: "keep: all"))
            func file(_ name: String, _ text: String) throws -> String {
                let url = mesh.folder.appending(path: name)
                try text.write(to: url, atomically: true, encoding: .utf8)
                return url.path(percentEncoded: false)
            }
            let arguments = [
                Programs.python("collector.py"), try file("one.pem", TestCertificates.one.chain),
                try file("one.key", TestCertificates.one.key),
            ]
            let collector = try RunningCommand(Programs.python, arguments, environment: mesh.environment, folder: mesh.folder)
            defer {
                collector.signal(SIGINT)
                _ = collector.end(within: 10)
            }
            #expect(Wait.until(30) { collector.output.contains("\n") }, "\(collector.errors)")
            let port = collector.output.prefix { $0 != "\n" }
            // Its authority is not one of the system's.
            let url = "https://localhost:\(port)/otlp"
            try mesh.write(Self.chain(traces: #"export: ["\#(url)"]"#))
            try mesh.up()
            #expect(try mesh.send("GET", "/").status == 200)
            #expect(
                try Wait.until(30) { try "\(mesh.statistics)".contains("be sent to \(url): ") }, "\((try? mesh.statistics) ?? [:])")
            // Relative to mesh.yaml, as every path.
            _ = try file("authority.pem", TestCertificates.authority.chain)
            try mesh.write(
                Self.chain(
                    traces: #"export: [{ url: "\#(url)", tls: { ca: authority.pem }, headers: { Authorization: Bearer secret } }]"#))
            try mesh.up()
            #expect(try mesh.send("GET", "/").status == 200)
            #expect(Wait.until(30) { collector.output.split(separator: "\n").count > 1 }, "\(collector.errors)")
        }

        /// OpenTelemetry's types of what we send.
        private static let types = [
            "http.request.method": "string_value", "http.response.status_code": "int_value", "http.route": "string_value",
            "http.request.resend_count": "int_value", "url.path": "string_value", "url.scheme": "string_value",
            "server.address": "string_value", "server.port": "int_value", "client.address": "string_value",
            "network.peer.address": "string_value", "network.protocol.version": "string_value", "network.transport": "string_value",
            "user_agent.original": "string_value", "error.type": "string_value", "mesh.attempt": "int_value",
            "mesh.attempts": "int_value", "mesh.retried": "bool_value", "mesh.kept": "string_value",
        ]

        @Test func jsonIsTakenInAndWhatIsNoneIsAnswered() throws {
            let mesh = try TestMesh(Self.chain(traces: #"otlp_listen: "127.0.0.1:0""#))
            try mesh.up()
            let address = try #require(try mesh.statistics["otlp_address"] as? String)
            func post(_ body: String, _ type: String) throws -> CurlResponse {
                try TestMesh.client.send(
                    CurlRequest("POST", "http://\(address)/v1/traces", headers: [CurlHeader("Content-Type", type)], body: .text(body)))
            }
            let id = "5b8efff798038103d269b633813fc60c"
            let answer = try post(
                """
                {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]},
                  "scopeSpans": [{"spans": [{"traceId": "\(id)", "spanId": "eee19b7ec3c1b174", "name": "alone", "kind": 1,
                  "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": "1544712661000000000"}]}]}]}
                """, "application/json")
            #expect(answer.status == 200 && answer.text == "{}")
            #expect(try mesh.trace(id, with: ["cart"]).count == 1)
            #expect(try post("{", "application/json").status == 400)
            #expect(try post("{}", "text/plain").status == 415)
        }
    }
}

extension TestMesh {
    /// `GET /v1/statistics` of the daemon.
    var statistics: [String: Any] { get throws { try object(try daemon("/v1/statistics")) } }

    /// One request to the daemon itself.
    func daemon(_ path: String) throws -> CurlResponse {
        let runtime = try FileManager.default.destinationOfSymbolicLink(
            atPath: stateFolder.appending(path: "run").path(percentEncoded: false))
        return try Self.client.send(CurlRequest("GET", "http://mesh\(path)", unixSocket: runtime + "/control.sock"))
    }
}
