import Testing

@testable import meshd

@Suite struct ShellEnvironmentTests {
    @Test(arguments: ["TERM", "TMUX", "TMUX_PANE", "SSH_TTY", "PWD", "PORT", "LISTEN_FDS", "NO_COLOR"])
    func aTerminalsOwnIsNotTheMeshs(name: String) { #expect(ShellEnvironment.isItsOwn(name)) }

    @Test(arguments: ["PATH", "HOME", "LANG", "TZ", "DATABASE_URL", "LOG_LEVEL", "MESH_TRANSPORT", "LD_LIBRARY_PATH"])
    func allElseIsInherited(name: String) { #expect(!ShellEnvironment.isItsOwn(name)) }
}
