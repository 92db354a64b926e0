/// What `POST /v1/up` is asked: bring the running mesh to what `file` says.
package struct UpRequest: Hashable, Sendable, Codable {
    /// Absolute path of mesh.yaml.
    package var file: String
    /// Consent to changes that would otherwise be asked about.
    package var yes: Bool
    /// The environment of the one who asks: what `${VAR}` in the file means, and the base of every instance's environment.
    package var environment: [String: String]
    /// The part of `profiles:` that is laid over the file.
    package var profile: String?
    /// Whether services are to follow their executables; nil for what the profile says.
    package var watch: Bool?

    package init(file: String, yes: Bool = true, environment: [String: String], profile: String? = nil, watch: Bool? = nil) {
        self.file = file
        self.yes = yes
        self.environment = environment
        self.profile = profile
        self.watch = watch
    }
}

/// One line of the stream that `POST /v1/up` answers with, told apart by the key `event`.
///
/// A stream holds any number of the first seven in the order of their happening and ends with exactly one `finished` or
/// `failed`; after `failed` everything that this `up` had started is stopped again.
package enum UpEvent: Hashable, Sendable {
    /// mesh.yaml was read and checked by the daemon.
    case check(CheckResult)
    /// The daemon answers.
    case control(ControlResult)
    /// What will be done with one service; sent only for services that change.
    case change(ServiceChange)
    /// Where a tier stands, sent anew whenever a count in it changes.
    case tier(TierProgress)
    /// A share of a service's calls goes to a new version of it from now on.
    case stage(RolloutStage)
    case warning(Notice)
    case finished(UpResult)
    case failed(UpFailure)

    package struct CheckResult: Hashable, Sendable, Codable {
        package var file: String
        package var findings: Int

        package init(file: String, findings: Int) {
            self.file = file
            self.findings = findings
        }
    }

    package struct ControlResult: Hashable, Sendable, Codable {
        /// The host's address, e.g. `127.0.0.1`.
        package var address: String
        /// The path of `control.sock`.
        package var socket: String

        package init(address: String, socket: String) {
            self.address = address
            self.socket = socket
        }
    }

    package struct ServiceChange: Hashable, Sendable, Codable {
        package enum Action: String, Hashable, Sendable, Codable {
            /// Processes where none ran.
            case start
            /// New processes beside the old ones, which go when those are healthy.
            case replace
            /// All old processes end before new ones start.
            case restart
            case stop
            case scale
            /// Other rules for processes that go on.
            case update = "live"
        }

        package var service: String
        package var action: Action
        package var reason: String?

        package init(service: String, action: Action, reason: String? = nil) {
            self.service = service
            self.action = action
            self.reason = reason
        }
    }

    package struct RolloutStage: Hashable, Sendable, Codable {
        package var service: String
        /// Of its calls, from 0 to 1.
        package var share: Double
        /// From 1.
        package var step: Int
        package var steps: Int
        /// For how long at least.
        package var seconds: Double

        package init(service: String, share: Double, step: Int, steps: Int, seconds: Double) {
            self.service = service
            self.share = share
            self.step = step
            self.steps = steps
            self.seconds = seconds
        }
    }

    package struct UpResult: Hashable, Sendable, Codable {
        /// Instances that are ready now.
        package var processes: Int
        package var seconds: Double
        /// Where the gateway listens.
        package var urls: [String]
        /// False when everything was already as mesh.yaml says.
        package var changed: Bool

        package init(processes: Int, seconds: Double, urls: [String] = [], changed: Bool = true) {
            self.processes = processes
            self.seconds = seconds
            self.urls = urls
            self.changed = changed
        }
    }
}

/// How many instances of each service of one tier are ready (on the way up), or still run (on the way down).
package struct TierProgress: Hashable, Sendable, Codable {
    package var tier: String
    package var services: [ServiceProgress]
    /// Where the tier can be reached from outside, known once it listens.
    package var urls: [String]
    /// True once every count of the tier is reached.
    package var isDone: Bool
    /// Seconds since the tier was begun.
    package var seconds: Double

    package init(tier: String, services: [ServiceProgress], urls: [String] = [], isDone: Bool, seconds: Double) {
        self.tier = tier
        self.services = services
        self.urls = urls
        self.isDone = isDone
        self.seconds = seconds
    }

    private enum CodingKeys: String, CodingKey {
        case tier, services, urls, seconds
        case isDone = "done"
    }
}

package struct ServiceProgress: Hashable, Sendable, Codable {
    package var service: String
    /// Instances that have got where they should: ready on the way up, gone on the way down.
    package var ready: Int
    package var wanted: Int

    package init(service: String, ready: Int, wanted: Int) {
        self.service = service
        self.ready = ready
        self.wanted = wanted
    }
}

/// Something that a person should know although the work goes on.
package struct Notice: Hashable, Sendable, Codable {
    package var message: String
    package var hint: String?

    package init(message: String, hint: String? = nil) {
        self.message = message
        self.hint = hint
    }
}

/// Why an `up` did not get ready, with the next thing to do.
package struct UpFailure: Error, Hashable, Sendable, Codable {
    package var tier: String?
    package var service: String?
    package var instance: String?
    package var reason: String
    package var hint: String
    /// The last lines that the failing instance wrote, oldest first.
    package var output: [String]

    package init(
        tier: String? = nil, service: String? = nil, instance: String? = nil, reason: String, hint: String, output: [String] = []
    ) {
        self.tier = tier
        self.service = service
        self.instance = instance
        self.reason = reason
        self.hint = hint
        self.output = output
    }
}

extension UpEvent: Codable {
    private enum CodingKeys: String, CodingKey { case event }
    private enum Kind: String, Codable { case check, control, change, tier, stage, warning, finished, failed }

    package init(from decoder: any Decoder) throws {
        self =
            switch try decoder.container(keyedBy: CodingKeys.self).decode(Kind.self, forKey: .event) {
            case .check: .check(try CheckResult(from: decoder))
            case .control: .control(try ControlResult(from: decoder))
            case .change: .change(try ServiceChange(from: decoder))
            case .tier: .tier(try TierProgress(from: decoder))
            case .stage: .stage(try RolloutStage(from: decoder))
            case .warning: .warning(try Notice(from: decoder))
            case .finished: .finished(try UpResult(from: decoder))
            case .failed: .failed(try UpFailure(from: decoder))
            }
    }

    package func encode(to encoder: any Encoder) throws {
        let (kind, payload): (Kind, any Encodable) =
            switch self {
            case .check(let value): (.check, value)
            case .control(let value): (.control, value)
            case .change(let value): (.change, value)
            case .tier(let value): (.tier, value)
            case .stage(let value): (.stage, value)
            case .warning(let value): (.warning, value)
            case .finished(let value): (.finished, value)
            case .failed(let value): (.failed, value)
            }
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(kind, forKey: .event)
        try payload.encode(to: encoder)
    }
}
