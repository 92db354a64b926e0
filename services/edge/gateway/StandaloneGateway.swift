import Foundation
import MeshConfiguration
import MeshExchange
import MeshModel
import MeshTransport

/// A gateway that follows a file and no daemon.
struct StandaloneGateway {
    /// How long answers in flight may take after SIGTERM.
    static let drainTime = Timespan.seconds(10)

    private let arguments: GatewayArguments

    init(_ arguments: GatewayArguments) { self.arguments = arguments }

    /// Serves until SIGTERM or SIGINT; the exit status. The calling thread waits here for signals.
    func run() -> Int32 {
        // Before any thread is started, so that all of them leave these signals to this one.
        let signals = AwaitedSignals(SIGTERM, SIGINT, SIGHUP)
        guard let (document, gateway) = load(), let snapshot = document.snapshotConfiguration(revision: 1) else { return 1 }
        DescriptorLimit.raise()
        let runtime: MeshRuntime
        do {
            let threads = arguments.threads ?? gateway.threads ?? ProcessInfo.processInfo.activeProcessorCount
            runtime = try MeshRuntime(snapshot, threads: threads)
        } catch {
            Message.write("error: \(arguments.mesh): \(error)")
            return 1
        }
        guard waiting(for: { await listen(on: gateway.listen, runtime) }) else {
            waiting { await runtime.shutDown() }
            return 1
        }

        var revision: UInt64 = 1
        while signals.next() == SIGHUP {
            revision += 1
            reload(runtime, revision: revision)
        }
        signals.letPass()
        waiting {
            await runtime.drain(within: Self.drainTime)
            await runtime.shutDown()
        }
        return 0
    }

    private func listen(on addresses: [MeshDocument.Gateway.Listen], _ runtime: MeshRuntime) async -> Bool {
        for listen in addresses {
            do {
                let listener = try await runtime.listen(on: .address(listen.address), as: .gateway)
                Message.write("listening on \(listener.address ?? listen.address)")
            } catch {
                Message.write("error: \(error)")
                if (error as? ListenFailed)?.isAddressInUse == true {
                    Message.write("hint: end the program that has the port, or set another one: `gateway.listen` in \(arguments.mesh)")
                }
                return false
            }
        }
        return true
    }

    /// The document and its gateway; nil after the findings were written.
    private func load() -> (MeshDocument, MeshDocument.Gateway)? {
        let (document, findings) = MeshDocument.load(path: arguments.mesh)
        if !findings.isEmpty { Message.write(findings.rendered, terminator: "") }
        guard let document else { return nil }
        guard let gateway = document.gateway else {
            Message.write("error: \(arguments.mesh) has no `gateway:`; add one with `routes:`")
            return nil
        }
        let ours = gateway.routes.flatMap(\.targets).map(\.service).first { name in
            document.services.first { $0.name == name }?.isExternal == false
        }
        if let ours {
            Message.write(
                "error: service '\(ours)' is started by the daemon, which does not run here: give it a `url:`, or use `mesh up`")
            return nil
        }
        return (document, gateway)
    }

    /// Listeners stay as they are; everything else follows the file as it is now. A file with errors changes nothing.
    private func reload(_ runtime: MeshRuntime, revision: UInt64) {
        guard let (document, _) = load(), let snapshot = document.snapshotConfiguration(revision: revision) else {
            Message.write("\(arguments.mesh): not reloaded, the configuration before stays in force")
            return
        }
        do {
            try runtime.install(snapshot)
            Message.write("\(arguments.mesh): reloaded")
        } catch {
            Message.write("error: \(arguments.mesh): \(error)")
        }
    }
}

extension MeshDocument {
    fileprivate func snapshotConfiguration(revision: UInt64) -> SnapshotConfiguration? {
        snapshotConfiguration(for: Self.gatewayName, revision: revision) { _ in [] }
    }
}

/// Signals that one thread waits for instead of being interrupted by them.
struct AwaitedSignals {
    private var set = sigset_t()

    init(_ signals: Int32...) {
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Waits for one of them.
    func next() -> Int32 {
        var set = set
        var signal: Int32 = 0
        while sigwait(&set, &signal) != 0 {}
        return signal
    }

    /// From here on they do what they do by default: the next one ends the process.
    func letPass() {
        var set = set
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }
}

/// Runs asynchronous work from a thread that has nothing else to do, and waits for it.
@discardableResult
private func waiting<Result: Sendable>(for work: @escaping @Sendable () async -> Result) -> Result {
    let done = DispatchSemaphore(value: 0)
    let result = Guarded<Result?>(nil)
    Task {
        let value = await work()
        result.withLock { $0 = value }
        done.signal()
    }
    done.wait()
    return result.withLock { $0 }!
}
