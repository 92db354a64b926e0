/// What of the asking shell's environment is about that shell or its terminal, not about the mesh.
///
/// An instance that inherited it would be outdated, and be restarted, as soon as `mesh up` is said in another terminal.
enum ShellEnvironment {
    private static let names: Set<String> = [
        "_", "OLDPWD", "PWD", "SHLVL", "PORT", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "TERM", "COLORTERM", "COLUMNS", "LINES",
        "NO_COLOR", "LS_COLORS", "PS1", "STY", "WINDOW", "WINDOWID", "VTE_VERSION", "INVOCATION_ID", "JOURNAL_STREAM", "MAKEFLAGS",
        "MAKELEVEL", "MESH_FAULT_POINT", "MFLAGS", "MAKE_TERMOUT", "MAKE_TERMERR",
    ]
    private static let prefixes = ["TMUX", "SSH_", "TERM_", "XDG_SESSION_", "KITTY_", "ITERM_"]

    static func isItsOwn(_ name: String) -> Bool { names.contains(name) || prefixes.contains { name.hasPrefix($0) } }
}
