import Foundation
import Logging
import MeshAdminAPI
import MeshLimits
import MeshStore
import MeshSupervision
import MeshTelemetry
import NIOPosix
import ServiceLifecycle
import UnixSignals

/// `meshd`: the daemon of one mesh.
@main
struct MeshDaemon {
    static func main() async {
        do {
            let arguments = CommandLine.arguments.dropFirst()
            if arguments.contains("--help") || arguments.contains("-h") {
                print(DaemonOptions.usage)
                return
            }
            let options = try DaemonOptions(arguments: arguments)
            signal(SIGPIPE, SIG_IGN)
            signal(SIGHUP, SIG_IGN)
            // Sent to who holds a lease on a file that somebody wants to write.
            signal(SIGIO, SIG_IGN)
            LoggingSystem.bootstrap { label in MeshLogHandler(label: label, level: .info) }
            try await run(options)
        } catch let misuse as DaemonOptions.Misuse {
            end(2, "error: \(misuse.reason)\n\n\(DaemonOptions.usage)")
        } catch let problem as Problem {
            end(1, "error: \(problem)" + (problem.hint.map { "\n\($0)" } ?? ""))
        } catch StateLock.Failure.taken {
            end(1, "error: another daemon works on this state folder\nmesh ps shows its mesh")
        } catch StateLock.Failure.unusable(let reason) {
            end(1, "error: the state folder can't be used: \(reason)\nset MESH_STATE_DIR to a folder that you may write to")
        } catch {
            end(1, "error: \(error)")
        }
    }

    private static func end(_ status: Int32, _ message: String) -> Never {
        FileHandle.standardError.write(Data((message + "\n").utf8))
        exit(status)
    }

    private static func run(_ options: DaemonOptions) async throws {
        let state = options.stateFolder
        try FileManager.default.createDirectory(
            atPath: state.path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        chmod(state.path, 0o700)
        let lock = try StateLock(path: state.daemonLock)
        let runtime = try RuntimeFolder.create(for: state)
        let logger = Logger(label: "meshd")
        let intake = TraceIntake(store: TraceStore(folder: state.traces))
        let exporter = OTLPExporter(logger: logger)
        let collector = SpanCollector { batches in
            for batch in batches { intake.acceptOrDrop(batch) }
            exporter.send(batches)
        }
        let listener = OTLPListener(collector: collector, logger: logger)
        let variables = VariableReader(saltPath: state.salt)
        // Before any shim descends from this process.
        let (groups, limits) = divideControlGroup(runtime, logger)
        let supervisor = Supervisor(
            .init(
                stateFolder: state.path, runtimeFolder: runtime.path,
                shimExecutable: URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
                    .appending(path: "mesh-shim").path, groups: groups,
                readVariables: { try variables.values(of: $0) }))
        let (finished, finish) = AsyncStream.makeStream(of: Void.self)
        let daemon = Daemon(
            stateFolder: state, runtimeFolder: runtime, supervisor: supervisor, variables: variables,
            traces: TraceAnswers(
                collector: collector, listener: listener, exporter: exporter, intake: intake, standardFolder: state.traces),
            limits: limits, logger: logger, finish: { finish.finish() })
        let (events, eventsIn) = AsyncStream.makeStream(of: InstanceServer.Event.self)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        await daemon.adopt()
        // Only now is known where mesh.yaml wants traces stored, and which.
        intake.start()
        try collector.start(path: runtime.spanSocket)
        DispatchQueue.global(qos: .utility).async { intake.store.warm() }
        let instances = try await InstanceServer.start(
            path: runtime.instanceSocket, group: group,
            spans: { bytes in
                guard let batch = try? bytes.withUnsafeBytes({ try SpanBatch(decoding: $0) }) else { return }
                collector.take(batch, isForeign: false)
            }, events: eventsIn)
        logger.info("meshd works on \(state.path), pid \(getpid())")

        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let admin = AdminServer(daemon: daemon, path: runtime.controlSocket, logger: logger)
        let isEmpty = try await withThrowingTaskGroup(of: Bool?.self) { tasks in
            tasks.addTask {
                await daemon.followReplicas()
                return nil
            }
            tasks.addTask {
                await daemon.followInstances(events)
                return nil
            }
            tasks.addTask {
                await daemon.keepWatching()
                return nil
            }
            tasks.addTask {
                try await admin.run(whenListening: {})
                return nil
            }
            // The end of the mesh, or of this daemon only: what runs goes on under the next one.
            tasks.addTask {
                for await _ in finished {}
                return true
            }
            tasks.addTask {
                for await _ in signals { break }
                return false
            }
            var isEmpty: Bool?
            while isEmpty == nil, let ended = try await tasks.next() { isEmpty = ended }
            tasks.cancelAll()
            return isEmpty ?? false
        }
        await instances.stop()
        await supervisor.detach()
        await listener.shutdown()
        collector.shutdown()
        await exporter.shutdown()
        intake.shutdown()
        unlink(runtime.controlSocket)
        unlink(runtime.instanceSocket)
        if isEmpty {
            groups.division?.dissolve()
            try? FileManager.default.removeItem(atPath: runtime.path)
            unlink(state.path + "/run")
        }
        logger.info(isEmpty ? "meshd ends with its mesh" : "meshd ends; what runs goes on")
        withExtendedLifetime(lock) {}
    }

    /// Makes the groups that instances are to live in, as far as the machine lets us.
    private static func divideControlGroup(
        _ runtime: RuntimeFolder, _ logger: Logger
    ) -> (groups: Supervisor.Configuration.Groups, status: LimitsStatus) {
        let name = runtime.controlGroupName
        let movable = [getpid()] + startedBy("mesh")
        let result = Result { () throws(ControlGroupObstacle) in
            try ControlGroupDivision(of: ControlGroupSurvey.host(movable: movable), name: name, own: movable).established()
        }
        let status = LimitsStatus(result)
        if let group = status.controlGroup { logger.info("instances live in \(group)") }
        if let reason = status.reason { logger.info("not all limits are kept by control groups: \(reason)") }
        return (.init(division: try? result.get(), name: name), status)
    }

    /// The process that started this one, if it is of that program, which lies beside this one: it is ours to move.
    private static func startedBy(_ program: String) -> [Int32] {
        let own = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let parent = URL(filePath: "/proc/\(getppid())/exe").resolvingSymlinksInPath()
        return parent.path == own.appending(path: program).path ? [getppid()] : []
    }
}
