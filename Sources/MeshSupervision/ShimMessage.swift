package import MeshLimits
package import MeshModel

/// What a shim is told.
package enum ShimCommand: Hashable, Sendable {
    /// Runs what the `spec` file says.
    case start
    /// To the process group of the incarnation.
    case signal(Int32)
    /// SIGTERM, and SIGKILL after the grace.
    case stop(grace: Timespan)
    case closeListeners
    case openListeners
    /// Answered with copies of the open listeners.
    case shareListeners
    /// Refused while an incarnation lives.
    case exit
    case describe

    package var text: String {
        switch self {
        case .start: "start spec=spec"
        case .signal(let number): "signal n=\(number)"
        case .stop(let grace): "stop grace_ms=\(grace.milliseconds)"
        case .closeListeners: "listeners close"
        case .openListeners: "listeners open"
        case .shareListeners: "listeners share"
        case .exit: "exit"
        case .describe: "state"
        }
    }
}

/// What a shim says.
package enum ShimEvent: Hashable, Sendable {
    /// The first message on every connection.
    case state(ShimState)
    /// `group`: what its control group bounds; nil where it is in none.
    case started(
        instance: InstanceID, processID: Int32, startTime: Int64, at: UnixTime, logOffset: Int64, group: ControlGroupControllers?)
    case startFailed(instance: InstanceID?, stage: StartStage, code: Int32)
    case exited(ExitReport)
    /// Nothing is left of the incarnation: neither its group nor what it had left behind.
    case swept(instance: InstanceID)
    case logDropped(total: Int64)
    case refused(command: String, code: Int32)
    /// The shim itself could not begin.
    case failed(stage: String, code: Int32)
    /// The shim ended as it should.
    case left
    /// The connection ended: the last event. Without `left` before it, the shim may be dead and its service alive.
    case lost
}

package enum StartStage: String, Hashable, Sendable {
    case specification = "spec"
    case listen, fork, exec, busy
}

/// A whole picture of a shim, so that nobody needs to have listened before.
package struct ShimState: Hashable, Sendable {
    package enum Phase: String, Hashable, Sendable { case idle, running, stopping, sweeping }

    /// Of what it speaks and can do: see `ShimState.current`.
    package var version: Int
    package var processID: Int32
    /// In clock ticks since boot.
    package var startTime: Int64
    package var replica: String
    package var phase: Phase
    /// The incarnation that lives, or that lived last.
    package var instance: InstanceID?
    /// Zero unless an incarnation lives.
    package var childProcessID: Int32
    package var childStartTime: Int64
    /// Taken over from a lost shim: its exit code will stay unknown.
    package var isAdopted: Bool
    /// What the control group of the incarnation bounds; nil where it is in none.
    package var group: ControlGroupControllers?
    package var startedAt: UnixTime
    package var listenersOnExit: IncarnationSpecification.ListenersOnExit
    package var listenersAreOpen: Bool
    package var logLinesDropped: Int64
    package var logOffset: Int64
    /// The disk was full when something had to be recorded.
    package var recordFailed: Bool
    package var lastErrorLine: String

    package static let current = 3
    /// Takes private variables with `start`, and keeps limits.
    package static let keepsLimits = 2
    /// Enters the control group that its specification names, and removes it at the end.
    package static let entersGroups = 3
}

extension ShimEvent {
    package init?(_ message: String) {
        let fields = MessageFields(message)
        switch fields.verb {
        case "state":
            guard let state = ShimState(fields) else { return nil }
            self = .state(state)
        case "started":
            guard let instance = fields.instance else { return nil }
            self = .started(
                instance: instance, processID: Int32(fields.number("pid")), startTime: fields.number("start"),
                at: UnixTime(nanoseconds: fields.number("time")), logOffset: fields.number("log_at"), group: fields.group
            )
        case "start_failed":
            guard let stage = StartStage(rawValue: fields["stage"]) else { return nil }
            self = .startFailed(instance: fields.instance, stage: stage, code: Int32(fields.number("errno")))
        case "exited":
            guard let report = ExitReport(fields) else { return nil }
            self = .exited(report)
        case "swept":
            guard let instance = fields.instance else { return nil }
            self = .swept(instance: instance)
        case "log_dropped": self = .logDropped(total: fields.number("total"))
        case "refused": self = .refused(command: fields["command"], code: Int32(fields.number("errno")))
        case "failed": self = .failed(stage: fields["stage"], code: Int32(fields.number("errno")))
        case "bye": self = .left
        default: return nil
        }
    }
}

extension ShimState {
    init?(_ fields: MessageFields) {
        guard let phase = Phase(rawValue: fields["phase"]) else { return nil }
        version = Int(fields.number("version"))
        processID = Int32(fields.number("pid"))
        startTime = fields.number("start")
        replica = fields["replica"]
        self.phase = phase
        instance = fields.instance
        childProcessID = Int32(fields.number("child"))
        childStartTime = fields.number("child_start")
        isAdopted = fields.number("adopted") != 0
        group = fields.group
        startedAt = UnixTime(nanoseconds: fields.number("time"))
        listenersOnExit = fields["on_exit"] == "close" ? .close : .hold
        listenersAreOpen = fields["listeners"] == "open"
        logLinesDropped = fields.number("log_dropped")
        logOffset = fields.number("log_at")
        recordFailed = fields.number("record_failed") != 0
        lastErrorLine = fields["stderr"]
    }
}

/// A line `verb name=value name=value …`; the fields `stderr` and `command` are free text and take the rest.
struct MessageFields {
    let verb: Substring
    private var values: [Substring: Substring] = [:]

    init(_ line: some StringProtocol) {
        var rest = Substring(line)
        let end = rest.firstIndex(of: " ") ?? rest.endIndex
        verb = rest[..<end]
        rest = rest[end...].drop { $0 == " " }
        while let equals = rest.firstIndex(of: "=") {
            let name = rest[..<equals]
            let isFreeText = name == "stderr" || name == "command"
            let end = isFreeText ? rest.endIndex : rest[equals...].firstIndex(of: " ") ?? rest.endIndex
            values[name] = rest[rest.index(after: equals)..<end]
            rest = rest[end...].drop { $0 == " " }
        }
    }

    subscript(name: Substring) -> String { values[name].map(String.init) ?? "" }
    func number(_ name: Substring) -> Int64 { values[name].flatMap { Int64($0) } ?? 0 }
    var instance: InstanceID? { values["uuid"].flatMap { InstanceID($0) } }
    /// Nil for `-`, and where an older shim does not speak of it.
    var group: ControlGroupControllers? { values["group"].flatMap { $0 == "-" ? nil : ControlGroupControllers(words: $0) } }
}
