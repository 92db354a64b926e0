import ArgumentParser
import Curl
import Foundation
import MeshAdminAPI
import MeshModel
import MeshTerminal

struct DownCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down", abstract: "Stop everything: the edge first, so that no request is cut off.",
        discussion: """
            Also stops what a lost daemon left behind. Ends with 0 when nothing was running.

            Example:
              mesh down
            """)

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    @Flag(help: "Kill instead of draining.")
    var now = false

    func run() throws {
        let signals = SignalWatch()
        let shutdown = Shutdown(location: try MeshLocation.find(file: mesh.file), console: outputOptions.console)
        signals.onSignal { _ in
            shutdown.kill(because: .person)
            Glibc.exit(CommandFailure.interrupted)
        }
        try shutdown.run(now: now)
    }
}

/// Stops a mesh with progress; `mesh down`, and the end of a foreground `mesh up`.
struct Shutdown: Sendable {
    let location: MeshLocation
    let console: Console
    /// The daemon, where this process started it.
    var child: pid_t?
    private let killing = Killing()

    /// Why instances were killed in the end.
    enum KillReason { case person, patience }

    private final class Killing: Sendable {
        let reason = Guarded<KillReason?>(nil)
    }

    /// How long a daemon that has finished may take to be gone.
    private static let patience = 5.0

    init(location: MeshLocation, console: Console, child: pid_t? = nil) {
        self.location = location
        self.console = console
        self.child = child
    }

    func run(now: Bool = false) throws {
        var client = DaemonClient(location)
        var child = child
        var status = try client.status()
        if status == nil {
            guard mayHaveLeftovers else { return console.tell("nothing was running") }
            (client, status, child) = try adopt()
        }
        let daemon = (child ?? status.map { pid_t($0.pid) }).flatMap(ProcessWatch.init)
        var progress = DownProgress(width: console.progressWidth)
        var failure: UpFailure?
        var hasFinished = false
        do {
            try client.lines(DownEvent.self, "POST", AdminAPI.Path.down, query: now ? [("now", "true")] : []) { event, _ in
                console.show(progress.apply(event))
                switch event {
                case .finished: hasFinished = true
                case .failed(let reason): failure = reason
                case .tier, .warning: break
                }
                return .goOn
            }
        } catch is DaemonAbsent {
            hasFinished = true
        } catch is DaemonLost where hasFinished {
            // It ended right behind its last line.
        } catch is DaemonLost where killing.reason.withLock({ $0 }) == .person {
            throw AlreadyTold(exitCode: CommandFailure.interrupted)
        } catch is DaemonLost where killing.reason.withLock({ $0 }) == .patience {
            console.tell("killed what had not stopped by itself")
            hasFinished = true
        } catch is DaemonLost {
            throw CommandFailure(
                "the daemon was lost before everything had stopped",
                hint: "mesh down\(location.selector)   (again: it takes over what is left)")
        }
        if failure != nil { throw AlreadyTold() }
        guard hasFinished else {
            throw CommandFailure("the daemon did not say that everything has stopped", hint: "mesh down\(location.selector)   (again)")
        }
        if let daemon { waitForEnd(of: daemon, isChild: child != nil) }
    }

    /// Asks the daemon to kill its instances instead of draining them; bounded, for a person may be waiting.
    func kill(because reason: KillReason) {
        killing.reason.withLock { $0 = $0 ?? reason }
        DaemonClient(location).killNow(timeout: .seconds(3))
    }

    /// Whether a daemon that is gone may have left instances: it keeps a record of each.
    private var mayHaveLeftovers: Bool {
        let records = try? FileManager.default.contentsOfDirectory(atPath: location.stateFolder.instances)
        return !(records ?? []).isEmpty
    }

    private func adopt() throws -> (DaemonClient, DaemonStatus?, pid_t?) {
        let (client, status, child) = try DaemonLauncher(location: location).ensureDaemon()
        return (client, status, child)
    }

    private func waitForEnd(of daemon: ProcessWatch, isChild: Bool) {
        let hasEnded = daemon.waitForEnd(within: Self.patience)
        if isChild { waitpid(daemon.process, nil, WNOHANG) }
        guard !hasEnded else { return }
        console.tell(
            StyledText("! ", .yellow)
                + StyledText("the daemon (process \(daemon.process)) is still there; see \(location.stateFolder.daemonLog)"))
    }
}
