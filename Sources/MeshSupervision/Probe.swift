package import MeshModel

/// One question to an instance, asked again and again.
package struct Probe: Hashable, Sendable, Codable {
    package enum Question: Hashable, Sendable, Codable {
        /// A 2xx or 3xx answer to GET at the instance's own address.
        case http(path: String)
        /// A connection to the instance's own address. A listener that was handed down accepts before its service does:
        /// this says little of such a service.
        case tcp
        /// Exit code 0 of a shell command, with the instance's folder and environment.
        case exec(command: String)
        /// A line of the instance's output, since its start, that the regular expression finds something in.
        case log(pattern: String)
    }

    package var question: Question
    package var every: Timespan
    /// Of one try.
    package var timeout: Timespan
    /// So many failures in a row turn the verdict.
    package var failures: Int
    /// For the first success after a start.
    package var within: Timespan

    package init(
        _ question: Question, every: Timespan = .seconds(1), timeout: Timespan = .seconds(1), failures: Int = 3,
        within: Timespan = .seconds(30)
    ) {
        self.question = question
        self.every = every
        self.timeout = timeout
        self.failures = failures
        self.within = within
    }
}

extension Probe.Question: CustomStringConvertible {
    package var description: String {
        switch self {
        case .http(let path): "GET \(path)"
        case .tcp: "tcp"
        case .exec(let command): "exec \(command)"
        case .log(let pattern): "log \(pattern)"
        }
    }
}

/// How an instance shows that it can take requests.
package enum Readiness: Hashable, Sendable, Codable {
    case probe(Probe)
    /// It says so itself, over the control protocol.
    case reported(within: Timespan)
    /// It has run for so long.
    case settled(after: Timespan)
}

/// All that is asked of one instance.
package struct ProbeSet: Hashable, Sendable, Codable {
    /// Until it has passed, nothing else is asked.
    package var startup: Probe?
    package var ready: Readiness
    /// What fails this is ended and started anew.
    package var live: Probe?

    package init(startup: Probe? = nil, ready: Readiness = .settled(after: .milliseconds(200)), live: Probe? = nil) {
        self.startup = startup
        self.ready = ready
        self.live = live
    }
}
