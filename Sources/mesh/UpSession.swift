import Curl
import Foundation
import MeshAdminAPI
import MeshModel
import MeshTerminal

/// One `mesh up`, from the first line to the last.
///
/// Invariant: what this command started is stopped again when it fails or is interrupted; what was running before goes on when
/// `-d` is interrupted.
struct UpSession {
    let location: MeshLocation
    let console: Console
    let signals: SignalWatch
    let isDetached: Bool
    let profile: String?
    /// nil for what the profile says.
    let watches: Bool?

    /// How often a foreground `up` looks at its instances.
    private static let lookEvery = 1.0
    /// After a request to end, instances that still drain are killed: a supervisor's own patience is seldom longer.
    private static let longestDrain = 12.0

    func run(check: UpEvent, environment: [String: String]) throws {
        var progress = UpProgress(
            width: console.progressWidth,
            nextCommands: isDetached ? "mesh ps · mesh traces list · mesh down" : "Ctrl-C stops everything")
        console.show(progress.apply(check))
        let (client, status, child) = try DaemonLauncher(location: location).ensureDaemon()
        try refuseAnotherMesh(status)
        console.show(progress.apply(.control(.init(address: "127.0.0.1", socket: shortened(client.socket)))))

        let cancellation = CurlCancellation()
        signals.onSignal { _ in cancellation.cancel() }
        if signals.count > 0 { cancellation.cancel() }
        let outcome = try bringUp(client, environment: environment, cancellation: cancellation, progress: &progress)
        switch outcome {
        case .ready where isDetached: return
        case .ready: try follow(client, child: child)
        case .failed:
            if child != nil { stopQuietly(child: child) }
            throw AlreadyTold()
        case .interrupted where isDetached && child == nil:
            throw CommandFailure(
                "interrupted; the daemon goes on with what it was doing", hint: "mesh ps\(location.selector)",
                exitCode: CommandFailure.interrupted)
        case .interrupted:
            try stop(child: child)
            if isDetached { throw AlreadyTold(exitCode: CommandFailure.interrupted) }
        }
    }

    private enum Outcome { case ready, failed, interrupted }

    private func bringUp(
        _ client: DaemonClient, environment: [String: String], cancellation: CurlCancellation, progress: inout UpProgress
    ) throws -> Outcome {
        let request = try AdminJSON.encode(UpRequest(file: location.file ?? "", environment: environment, profile: profile, watch: watches))
        var outcome: Outcome?
        let drawn = Guarded(progress)
        do {
            try client.lines(UpEvent.self, "POST", AdminAPI.Path.up, body: request, cancellation: cancellation) { event, _ in
                switch event {
                // Told already, before the daemon was asked.
                case .check, .control: return .goOn
                case .finished: outcome = .ready
                case .failed: outcome = .failed
                case .change, .tier, .stage, .warning: break
                }
                console.show(drawn.withLock { $0.apply(event) })
                return .goOn
            }
        } catch let error as CurlError where error.kind == .cancelled {
            return .interrupted
        } catch is DaemonAbsent, is DaemonLost {
            throw CommandFailure(
                "the daemon was lost while the mesh was starting", detail: [],
                hint: "read \(location.stateFolder.daemonLog), then: mesh down\(location.selector)")
        }
        guard let outcome else {
            throw CommandFailure(
                "the daemon did not say whether the mesh is ready", hint: "mesh ps\(location.selector)")
        }
        progress = drawn.withLock { $0 }
        return outcome
    }

    /// Stays until a signal comes, the mesh is stopped from elsewhere, or the daemon is lost.
    private func follow(_ client: DaemonClient, child: pid_t?) throws {
        signals.onSignal { _ in }
        var watch = InstanceWatch()
        var failures = 0
        while true {
            if signals.count > 0 { return try stop(child: child) }
            do {
                console.tell(watch.look(try client.instances(timeout: .seconds(5))))
                failures = 0
            } catch is DaemonAbsent {
                guard !client.socketExists else { throw lost(child) }
                if let child { waitpid(child, nil, WNOHANG) }
                return console.tell("the mesh was stopped from elsewhere")
            } catch {
                failures += 1
                if failures == 3 { throw lost(child) }
            }
            _ = signals.wait(seconds: Self.lookEvery)
        }
    }

    private func lost(_ child: pid_t?) -> CommandFailure {
        if let child { waitpid(child, nil, WNOHANG) }
        return CommandFailure(
            "the daemon was lost; the services go on without it (nothing restarts them now)",
            hint: "mesh up\(location.selector)   takes them over again; mesh down\(location.selector) stops them")
    }

    private func stop(child: pid_t?) throws {
        let shutdown = Shutdown(location: location, console: console, child: child)
        signals.onSignal { _ in
            shutdown.kill(because: .person)
            Glibc.exit(CommandFailure.interrupted)
        }
        // It may have come before the handler was there.
        if signals.count > 1 {
            shutdown.kill(because: .person)
            Glibc.exit(CommandFailure.interrupted)
        }
        Thread.detachNewThread {
            Thread.sleep(forTimeInterval: Self.longestDrain)
            shutdown.kill(because: .patience)
        }
        console.tell(StyledText("stopping (a second Ctrl-C kills)", .dim))
        try shutdown.run()
    }

    /// After a failed start, of which everything was told: the daemon that was started for it goes, too.
    private func stopQuietly(child: pid_t?) {
        let silent = Console(wantedWidth: nil, wantsColour: false, isSilent: true)
        try? Shutdown(location: location, console: silent, child: child).run(now: true)
    }

    private func refuseAnotherMesh(_ status: DaemonStatus) throws {
        guard let running = status.file, status.mesh != location.name else { return }
        throw CommandFailure(
            "mesh \(status.mesh) (\(running)) lives in this state folder: \(location.stateFolder.path)",
            hint:
                "stop it (mesh down -f \(running)), or give this one a folder of its own: MESH_STATE_DIR=/some/folder mesh up\(location.selector)"
        )
    }

    /// A path below the working folder as seen from there.
    private func shortened(_ path: String) -> String {
        let here = FileManager.default.currentDirectoryPath + "/"
        return path.hasPrefix(here) ? String(path.dropFirst(here.count)) : path
    }
}
