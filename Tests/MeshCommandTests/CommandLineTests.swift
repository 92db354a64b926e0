import ArgumentParser
import Curl
import Testing

@testable import mesh

@Suite struct CommandLineTests {
    private func parse(_ line: String...) throws -> any ParsableCommand { try MeshCommand.parseAsRoot(line) }

    private func call(_ words: [String]) throws -> CurlRequest {
        let command = try #require(try MeshCommand.parseAsRoot(["call"] + words) as? CallCommand)
        return try command.request(to: "http://gateway")
    }

    @Test(arguments: [
        ["bogus"], ["up", "--nonsense"], ["up", "extra"], ["ps", "--width", "5"], ["traces", "show", "xyz"], ["traces", "show"],
        ["traces", "list", "--limit", "0"], ["traces", "list", "--since", "10"], ["traces", "list", "--since", "m"],
        ["logs", "--lines", "-1"], ["call"], ["call", "GET"], ["call", "GET", "catalog"],
        ["scale"], ["scale", "inventory"], ["scale", "inventory=0"], ["scale", "inventory=5", "orders=x"],
        ["call", "GET", "/a b"], ["call", "G T", "/a"], ["call", "GET", "/", "-H", "nofield"], ["call", "GET", "/", "extra"],
    ])
    func wrongUseIsToldFromFailure(line: [String]) {
        let error = #expect(throws: (any Error).self) { try MeshCommand.parseAsRoot(line) }
        #expect(error.map { MeshCommand.exitCode(for: $0) } == .validationFailure)
    }

    @Test(arguments: [
        (["upp"], "'upp' is no command; did you mean 'up'?", "mesh up"),
        (["traces", "lst", "--limit", "3"], "'lst' is no command; did you mean 'list'?", "mesh traces list"),
        (["frobnicate"], "'frobnicate' is no command", "mesh --help"),
    ])
    func aMisspelledCommandIsGuessed(line: [String], message: String, next: String) {
        let failure = UnknownCommand.failure(in: line)
        #expect(failure?.message == message && failure?.hint == next && failure?.exitCode == 2)
    }

    @Test(arguments: [[], ["up"], ["--version"], ["help", "up"], ["traces", "show", "last"], ["call", "upp"], ["traces", "--help"]])
    func aKnownOneIsLeftToTheParser(line: [String]) { #expect(UnknownCommand.failure(in: line) == nil) }

    @Test(arguments: [["--help"], ["--version"], ["up", "--help"], ["traces", "show", "--help"]])
    func helpIsNoFailure(line: [String]) throws {
        let error = #expect(throws: (any Error).self) {
            var command = try MeshCommand.parseAsRoot(line)
            try command.run()
        }
        #expect(error.map { MeshCommand.exitCode(for: $0) } == .success)
    }

    @Test func everyCommandHasAnExampleInItsHelp() {
        func check(_ command: any ParsableCommand.Type) {
            #expect(command.configuration.discussion.contains("Example:\n"), "\(command)")
            for subcommand in command.configuration.subcommands { check(subcommand) }
        }
        check(MeshCommand.self)
    }

    @Test func aCallIsReadAsItIsSaid() throws {
        let plain = try call(["/catalog?q=tea"])
        #expect(plain.method == "GET")
        #expect(plain.url == "http://gateway/catalog?q=tea")
        let post = try call(["post", "/orders", "-d", "{}", "-H", "Idempotency-Key: 7", "-H", "X-Empty:"])
        #expect(post.method == "POST")
        #expect(post.headers["idempotency-key"] == "7")
        #expect(post.headers["x-empty"] == "")
        #expect(post.headers["content-type"] == "application/json")
        #expect(try call(["DELETE /orders/1"]).method == "DELETE")
        #expect(try call(["/orders", "-d", "x", "-H", "content-type: text/plain"]).headers.values(of: "Content-Type") == ["text/plain"])
        #expect(try call(["/orders", "-d", "x"]).method == "POST")
    }

    @Test(arguments: [("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86400)])
    func aTimeBackIsReadInItsUnits(text: String, seconds: Int) {
        #expect(TimeBack(argument: text)?.seconds == seconds)
    }

    @Test func whatListensEverywhereIsReachedOnTheLoopback() {
        #expect(RequestArguments.reachable("http://0.0.0.0:8080") == "http://127.0.0.1:8080")
        #expect(RequestArguments.reachable("http://[::]:8080") == "http://[::1]:8080")
        #expect(RequestArguments.reachable("http://10.0.0.1:80") == "http://10.0.0.1:80")
    }

    @Test func logsTakeServicesInEitherForm() throws {
        let command = try #require(try parse("logs", "orders", "--service", "crm", "-f", "-n", "5") as? LogsCommand)
        #expect(command.services == ["orders"])
        #expect(command.serviceOptions == ["crm"])
        #expect(command.follow)
        #expect(command.lines == 5)
    }

    @Test func queriesAreEscaped() {
        #expect(DaemonClient.escaped("catalog/v2 &=ü") == "catalog%2Fv2%20%26%3D%C3%BC")
    }
}
