import Foundation
import Testing

/// curl and the usual makers of load, through the gateway.
extension RealProcesses {
    @Suite struct LoadClientTests {
        /// curl's options for a protocol; its version, as curl names it; whether by HTTPS.
        private static let protocols = [
            (["--http1.1"], "1.1", false), (["--http1.1"], "1.1", true), (["--http2-prior-knowledge"], "2", false),
            (["--http2"], "2", true),
        ]

        @Test(arguments: protocols) func curlFindsNothingWrong(options: [String], version: String, isSecure: Bool) throws {
            let clients = try ClientMesh(isSecure: isSecure)
            let url = try clients.url
            let trust = clients.trust.flatMap { ["--cacert", $0] }
            let upload = clients.mesh.folder.appending(path: "upload").path(percentEncoded: false)
            try Data(repeating: 120, count: 3_000_000).write(to: URL(filePath: upload))
            func curl(_ arguments: [String]) throws -> String {
                let report = ["-sS", "--max-time", "60", "-w", " %{http_version} %{http_code}\n"]
                return try clients.run("/usr/bin/curl", options + trust + report + arguments).output
            }
            // On one connection, where curl can: 7.88 fails by itself at the second request of HTTP/2 with prior knowledge.
            let targets = [
                ["-o", "/dev/null", "\(url)/bytes/5000000"], ["-o", "/dev/null", "\(url)/"], ["-o", "/dev/null", "\(url)/status/404"],
            ]
            let down = try options == ["--http2-prior-knowledge"] ? targets.map(curl).joined() : curl(targets.flatMap { $0 })
            #expect(down == " \(version) 200\n \(version) 200\n \(version) 404\n")
            let size = try curl(["-o", "/dev/null", "-w", "%{size_download}", "\(url)/bytes/5000000"])
            #expect(size == "5000000")
            let up = try curl(["-T", upload, "\(url)/upload"])
            #expect(up.contains("\"body_bytes\":3000000") && up.hasSuffix(" \(version) 200\n"), "\(up)")
            let head = try curl(["-I", "\(url)/bytes/1000"])
            #expect(head.lowercased().contains("content-length: 1000"), "\(head)")
            let form = try curl(["-F", "file=@\(upload)", "-F", "name=value", "\(url)/form"])
            #expect(form.hasSuffix(" \(version) 200\n"), "\(form)")
        }

        @Test(arguments: [false, true]) func wrkSeesNoError(isSecure: Bool) throws {
            let clients = try ClientMesh(isSecure: isSecure)
            for path in ["/", "/bytes/65536"] {
                let run = try clients.run("/usr/bin/wrk", ["-t", "1", "-c", "32", "-d", "2s", "--timeout", "30s", clients.url + path])
                #expect(run.output.contains("requests in"), "\(run.output)")
                #expect(!run.output.contains("Non-2xx") && !run.output.contains("Socket errors"), "\(run.output)")
            }
        }

        @Test(arguments: [(false, ["--h1"]), (false, []), (true, ["--h1"]), (true, [])])
        func h2loadSeesNoError(isSecure: Bool, options: [String]) throws {
            let clients = try ClientMesh(isSecure: isSecure)
            for path in ["/", "/bytes/65536"] {
                let run = try clients.run(
                    "/usr/bin/h2load", options + ["-n", "1000", "-c", "8", "-m", options.isEmpty ? "20" : "1", clients.url + path])
                #expect(run.output.contains("1000 succeeded, 0 failed, 0 errored, 0 timeout"), "\(run.output)")
                #expect(run.output.contains("status codes: 1000 2xx, 0 3xx, 0 4xx, 0 5xx"), "\(run.output)")
            }
        }
    }
}
