import Foundation
public import Logging
import MeshTelemetry

/// The log of a service: one line for each event, on standard output, warnings and errors on standard error.
///
/// Lines that are written while a request is handled carry `trace_id` and `span_id`, so that they are found by the trace that `mesh traces show` names.
public enum SidecarLogging {
    /// Makes every `Logger` of this process write such lines; `Sidecar.run` and `Sidecar.program` do it at their start.
    ///
    /// `LOG_LEVEL` (trace, debug, info, notice, warning, error, critical) and `MESH_LOG_FORMAT` (text, json) in the environment set
    /// what is not given.
    public static func bootstrap(level: Logger.Level? = nil, json: Bool? = nil) {
        let environment = ProcessInfo.processInfo.environment
        let level = level ?? environment["LOG_LEVEL"].flatMap { Logger.Level(rawValue: $0.lowercased()) } ?? .info
        let format = json.map { $0 ? LogFormat.json : .text } ?? environment["MESH_LOG_FORMAT"].flatMap { LogFormat(rawValue: $0) } ?? .text
        // The shim times every line that it takes.
        let isTimed = environment["MESH_CONTROL"] == nil
        let ordinary = LogOutput { LineWriter.standardOutput.write($0) }
        let grave = LogOutput { LineWriter.standardError.write($0) }
        LoggingSystem.bootstrap(
            { label, provider in
                DividingLogHandler(
                    ordinary: MeshLogHandler(
                        label: label, level: level, format: format, output: ordinary, isTimed: isTimed, metadataProvider: provider),
                    grave: MeshLogHandler(
                        label: label, level: level, format: format, output: grave, isTimed: isTimed, metadataProvider: provider))
            }, metadataProvider: .mesh)
    }
}

/// Sends warnings and errors one way, everything else another.
struct DividingLogHandler: LogHandler {
    var ordinary: MeshLogHandler
    var grave: MeshLogHandler

    var logLevel: Logger.Level {
        get { ordinary.logLevel }
        set {
            ordinary.logLevel = newValue
            grave.logLevel = newValue
        }
    }

    var metadata: Logger.Metadata {
        get { ordinary.metadata }
        set {
            ordinary.metadata = newValue
            grave.metadata = newValue
        }
    }

    var metadataProvider: Logger.MetadataProvider? {
        get { ordinary.metadataProvider }
        set {
            ordinary.metadataProvider = newValue
            grave.metadataProvider = newValue
        }
    }

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { ordinary[metadataKey: key] }
        set {
            ordinary[metadataKey: key] = newValue
            grave[metadataKey: key] = newValue
        }
    }

    func log(event: LogEvent) {
        if event.level >= .warning { grave.log(event: event) } else { ordinary.log(event: event) }
    }
}
