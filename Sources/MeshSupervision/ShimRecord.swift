package import MeshModel

/// What the shims of one replica slot wrote down: read by a daemon that was away.
package struct ShimRecord: Hashable, Sendable {
    package struct Start: Hashable, Sendable {
        package var instance: InstanceID
        package var processID: Int32
        /// In clock ticks since the boot `boot`.
        package var startTime: Int64
        package var startedAt: UnixTime
        package var boot: String
    }

    package var starts: [Start] = []
    package var exits: [ExitReport] = []
    /// The last shim: process id and start time in clock ticks.
    package var shim: (processID: Int32, startTime: Int64, boot: String)?

    /// The last incarnation whose end nobody recorded; whether its process still lives, only the kernel knows.
    package var unfinished: Start? {
        guard let last = starts.last, !exits.contains(where: { $0.instance == last.instance }) else { return nil }
        return last
    }

    /// How the incarnation ended that was started last; nil also where nobody recorded it.
    package var end: ExitReport? { starts.last.flatMap { last in exits.last { $0.instance == last.instance } } }

    package init(_ text: String) {
        for line in text.split(separator: "\n") {
            let fields = MessageFields(line)
            switch fields.verb {
            case "start":
                guard let instance = fields.instance else { continue }
                starts.append(
                    Start(
                        instance: instance, processID: Int32(fields.number("pid")), startTime: fields.number("start"),
                        startedAt: UnixTime(nanoseconds: fields.number("time")), boot: fields["boot"]
                    ))
            case "exit":
                if let report = ExitReport(fields) { exits.append(report) }
            case "shim": shim = (Int32(fields.number("pid")), fields.number("start"), fields["boot"])
            default: continue
            }
        }
    }

    package static func read(_ folder: InstanceFolder) -> ShimRecord {
        ShimRecord(String(decoding: Files.read(folder.record), as: UTF8.self))
    }

    package static func == (left: ShimRecord, right: ShimRecord) -> Bool {
        left.starts == right.starts && left.exits == right.exits && left.shim?.processID == right.shim?.processID
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(starts)
        hasher.combine(exits)
    }
}
