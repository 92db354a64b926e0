import ArgumentParser
import MeshModel
import MeshSimulation
import MeshTerminal

/// `SERVICE=WHAT[:SHARE][@FROM-UNTIL]`.
private struct ServiceArgument {
    var service: String
    var what: String
    var share = 1.0
    var from = Timespan.zero
    var until: Timespan?

    init?(_ argument: String) {
        guard let equals = argument.firstIndex(of: "="), equals > argument.startIndex else { return nil }
        service = String(argument[..<equals])
        var rest = argument[argument.index(after: equals)...]
        if let at = rest.lastIndex(of: "@") {
            let span = rest[rest.index(after: at)...].split(separator: "-", omittingEmptySubsequences: false)
            guard span.count == 2, let from = Self.time(span[0]), let until = Self.time(span[1]), until > from else { return nil }
            self.from = from
            self.until = until
            rest = rest[..<at]
        }
        if let colon = rest.lastIndex(of: ":"), let share = ShareArgument(argument: String(rest[rest.index(after: colon)...])) {
            self.share = share.share
            rest = rest[..<colon]
        }
        guard !rest.isEmpty else { return nil }
        what = String(rest)
    }

    static func time(_ text: Substring) -> Timespan? {
        text == "0" || text == "0s" ? .zero : DurationArgument(argument: String(text)).map { .milliseconds(Int64($0.milliseconds)) }
    }
}

struct TroubleArgument: ExpressibleByArgument {
    var trouble: Topology.Trouble

    init?(argument: String) {
        guard let parsed = ServiceArgument(argument) else { return nil }
        let kind: Topology.Trouble.Kind
        switch parsed.what {
        case "reset": kind = .reset
        case "refuse": kind = .refuse
        case "hang": kind = .hang
        case let text:
            guard let status = Int(text.hasPrefix("status:") ? String(text.dropFirst(7)) : text), (400...599).contains(status) else {
                return nil
            }
            kind = .status(status)
        }
        trouble = Topology.Trouble(parsed.service, kind, share: parsed.share, from: parsed.from, until: parsed.until)
    }
}

struct DelayArgument: ExpressibleByArgument {
    var trouble: Topology.Trouble

    init?(argument: String) {
        guard let parsed = ServiceArgument(argument), let time = ServiceArgument.time(parsed.what[...]), time > .zero else { return nil }
        trouble = Topology.Trouble(parsed.service, .slow(time), share: parsed.share, from: parsed.from, until: parsed.until)
    }
}

struct WorkArgument: ExpressibleByArgument {
    var service: String
    var time: Timespan

    init?(argument: String) {
        guard let parsed = ServiceArgument(argument), let time = ServiceArgument.time(parsed.what[...]) else { return nil }
        service = parsed.service
        self.time = time
    }
}

struct WorkersArgument: ExpressibleByArgument {
    var service: String
    var count: Int

    init?(argument: String) {
        guard let parsed = ServiceArgument(argument), let count = Int(parsed.what), (1...1_000_000).contains(count) else { return nil }
        service = parsed.service
        self.count = count
    }
}
