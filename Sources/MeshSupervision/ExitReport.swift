package import MeshModel

/// How one incarnation ended.
package struct ExitReport: Hashable, Sendable {
    package enum Cause: Hashable, Sendable {
        case code(Int32)
        case signal(Int32)
        /// The executable could not be run; the kernel's error code.
        case notExecuted(Int32)
        /// The shim was lost before, so nobody could ask the kernel.
        case unknown
    }

    /// Why it was killed by SIGKILL, which nobody here had sent for another reason.
    package enum WantOfMemory: Hashable, Sendable {
        /// The kernel killed a process for want of memory meanwhile.
        case machine
        /// It used more than its own limit, or tried to; `used` is what it had most.
        case limit(used: Int64, allowed: Int64)
    }

    package var instance: InstanceID
    package var processID: Int32
    package var cause: Cause
    package var dumpedCore: Bool
    package var memory: WantOfMemory?
    /// It had been told to stop.
    package var wasExpected: Bool
    package var endedAt: UnixTime
    package var ran: Timespan
    package var userTime: Timespan
    package var systemTime: Timespan
    package var peakResidentBytes: Int64
    package var lastErrorLine: String

    package init(
        instance: InstanceID, processID: Int32, cause: Cause, dumpedCore: Bool = false, memory: WantOfMemory? = nil,
        wasExpected: Bool = false, endedAt: UnixTime, ran: Timespan, userTime: Timespan = .zero, systemTime: Timespan = .zero,
        peakResidentBytes: Int64 = 0, lastErrorLine: String = ""
    ) {
        self.instance = instance
        self.processID = processID
        self.cause = cause
        self.dumpedCore = dumpedCore
        self.memory = memory
        self.wasExpected = wasExpected
        self.endedAt = endedAt
        self.ran = ran
        self.userTime = userTime
        self.systemTime = systemTime
        self.peakResidentBytes = peakResidentBytes
        self.lastErrorLine = lastErrorLine
    }

    /// Ended by itself with code 0, or because it was told to.
    package var isClean: Bool { wasExpected || cause == .code(0) }
}

extension ExitReport: CustomStringConvertible {
    /// As `ps` shows it: `exit 1 after 0.3s: "bad schema v7"`.
    package var description: String { ending + (lastErrorLine.isEmpty ? "" : ": \"\(lastErrorLine)\"") }

    /// Without what it said: `exit 1 after 0.3s`.
    package var ending: String {
        let how =
            switch cause {
            case .code(let code): "exit \(code)"
            case .signal(9) where memory != nil: memory.map(Self.text) ?? ""
            case .signal(let number): "ended by \(Self.signalName(number))"
            case .notExecuted(let code): "could not be run: \(SystemError.reason(code))"
            case .unknown: "ended, exit code unknown because its shim was lost"
            }
        let core = dumpedCore ? ", core dumped" : ""
        if case .notExecuted = cause { return how }
        let after = cause == .unknown ? "" : " after \(Self.text(ran))"
        return how + core + after
    }

    private static func text(_ memory: WantOfMemory) -> String {
        switch memory {
        case .machine: "killed out of memory: this machine had none left (SIGKILL)"
        case .limit(let used, let allowed) where used <= allowed:
            "killed out of memory: it needed more than limits.memory, which is \(allowed >> 20)M (SIGKILL)"
        case .limit(let used, let allowed): "killed out of memory: it used \(used >> 20)M, and limits.memory is \(allowed >> 20)M (SIGKILL)"
        }
    }

    static func text(_ span: Timespan) -> String {
        let tenths = span.milliseconds / 100
        return tenths < 600 ? "\(tenths / 10).\(tenths % 10)s" : tenths < 36000 ? "\(tenths / 600)m" : "\(tenths / 36000)h"
    }

    static func signalName(_ number: Int32) -> String {
        let names: [Int32: String] = [
            1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
            10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ",
            31: "SIGSYS",
        ]
        return names[number] ?? "signal \(number)"
    }
}

extension ExitReport {
    /// From an `exited` message or an `exit` line of the record, which have the same fields.
    init?(_ fields: MessageFields) {
        guard let instance = fields.instance else { return nil }
        let value = Int32(fields.number("value"))
        switch fields["how"] {
        case "code": cause = .code(value)
        case "signal": cause = .signal(value)
        case "exec": cause = .notExecuted(value)
        default: cause = .unknown
        }
        self.instance = instance
        processID = Int32(fields.number("pid"))
        dumpedCore = fields.number("core") != 0
        switch fields.number("oom") {
        case 1: memory = .machine
        case 2: memory = .limit(used: fields.number("memory_kb") * 1024, allowed: fields.number("limit_kb") * 1024)
        default: memory = nil
        }
        wasExpected = fields.number("expected") != 0
        endedAt = UnixTime(nanoseconds: fields.number("time"))
        ran = .milliseconds(fields.number("ran_ms"))
        userTime = .microseconds(fields.number("user_us"))
        systemTime = .microseconds(fields.number("system_us"))
        peakResidentBytes = fields.number("max_rss_kb") * 1024
        lastErrorLine = fields["stderr"]
    }
}
