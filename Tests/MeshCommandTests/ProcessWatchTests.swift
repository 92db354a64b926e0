import Glibc
import Testing

@testable import mesh

@Suite struct ProcessWatchTests {
    private func start(_ arguments: [String]) throws -> pid_t {
        var process: pid_t = 0
        let words = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        let code = posix_spawn(&process, arguments[0], nil, nil, words, nil)
        try #require(code == 0)
        return process
    }

    @Test func aZombieHasEnded() throws {
        let process = try start(["/bin/true"])
        let watch = try #require(ProcessWatch(process))
        #expect(watch.waitForEnd(within: 10))
        #expect(kill(process, 0) == 0, "nobody has reaped it yet")
        waitpid(process, nil, 0)
        #expect(ProcessWatch(process) == nil)
    }

    @Test func whatRunsHasNot() throws {
        let process = try start(["/bin/sleep", "600"])
        let watch = try #require(ProcessWatch(process))
        #expect(!watch.waitForEnd(within: 0))
        kill(process, SIGKILL)
        #expect(watch.waitForEnd(within: 10))
        waitpid(process, nil, 0)
    }
}
