package import MeshExchange
package import MeshModel
package import MeshPolicy

/// A mesh as mesh.yaml says it, with every default filled in and every path made absolute.
package struct MeshDocument: Sendable {
    package var name: String
    /// The file, as it was asked for.
    package var file: String
    /// Its folder, absolute: where relative paths start, and processes too.
    package var folder: String
    package var profile: String?
    /// From the outside in.
    package var tiers: [String]
    package var allowsCallsWithinTier: Bool
    package var restartsOnChange: Bool
    package var gateway: Gateway?
    /// In the order of the file.
    package var services: [Service]
    package var traces: Traces
    /// Where Prometheus scrapes; nil for nowhere but the control socket.
    package var metricsListen: SocketAddress?
    /// What `defaults:` makes of every call, the gateway's first of all.
    package var defaults: Call.Manner

    /// The name that the gateway has among services: in `ps`, in spans, in snapshots.
    package static let gatewayName = "gateway"
    package static let standardTiers = ["edge", "domain", "enterprise"]

    package func service(named name: String) -> Service? { services.first { $0.name == name } }

    /// The tier of a service or of the gateway, which stands in the first one; nil for a name that isn't known.
    package func tier(of name: String) -> String? {
        name == Self.gatewayName && gateway != nil ? tiers.first : service(named: name)?.tier
    }

    /// How many processes run when all is well; the daemon not counted.
    package var processCount: Int {
        services.reduce(gateway?.command == nil ? 0 : 1) { $0 + $1.replicas }
    }
}

extension MeshDocument {
    /// The way in from the outside.
    package struct Gateway: Sendable {
        package var mark: SourceMark
        /// nil where the gateway is started by hand.
        package var command: Command?
        package var listen: [Listen]
        /// nil for one per core.
        package var threads: Int?
        package var deadline: Timespan
        /// nil where it is off.
        package var retryCredit: RetryCreditPolicy
        package var routes: [Route]
        package var healthPath: String
        package var continuesTraces: Bool
        package var trustedProxies: [String]
        package var proxyProtocol: Bool
        /// nil without certificates.
        package var tls: InboundTLS?
        package var accessLog: AccessLogConfiguration?
        package var limits: InboundLimits
        package var timeouts: InboundTimeouts

        package static let standardListen = SocketAddress.tcp(host: "0.0.0.0", port: 8080)

        package struct Listen: Hashable, Sendable {
            package var address: SocketAddress
            package var mark: SourceMark
        }
    }

    /// What becomes of the requests of one pattern.
    package struct Route: Sendable {
        /// As findings and traces call it: `/orders/**`, `GET /search`.
        package var name: String
        package var mark: SourceMark
        package var method: String?
        /// As it is written; `RoutePattern` reads it.
        package var pattern: String
        /// What a request must be like besides its method and path.
        package var conditions: RouteConditions
        package var targets: [Target]
        package var timeout: Timespan?
        package var timeoutMark: SourceMark?
        package var deadline: RouteDeadline
        package var maxDuration: Timespan?
        package var isIdempotent: Bool
        package var rewrite: String?
        /// What the gateway answers itself; a route has this or targets.
        package var answer: RouteAnswer?
        package var requestHeaders = HeaderEditsConfiguration()
        package var responseHeaders = HeaderEditsConfiguration()
        package var cors: CrossOriginConfiguration?
        package var rateLimit: RateLimitConfiguration?
        package var mirror: MirrorConfiguration?
        package var sticky: RequestKey?
        package var criticality = Criticality.standard
        package var fault: FaultPolicy?
        /// As it is written.
        var node: ConfigurationNode

        package struct Target: Hashable, Sendable {
            package var service: String
            package var weight: Int
            package var mark: SourceMark
        }
    }

    /// A service behind the gateway.
    package struct Service: Sendable {
        package var name: String
        package var mark: SourceMark
        package var tier: String
        package var tierMark: SourceMark
        package var runtime: Runtime
        package var calls: [Call]
        package var readiness: Probe
        package var liveness: Probe?
        package var startup: Probe?
        package var restart: RestartPolicy
        /// How many requests one instance works on at once; nil for any number.
        package var inFlight: LimitPolicy?
        package var deploy: Deploy
        /// Whether it is started only when what it calls is ready.
        package var waitsForCalls = true
        /// How many ready replicas make it ready; nil for all.
        package var minAvailable: Deploy.Bound?
        package var variableFiles = VariableFiles()
        package var limits = Limits()

        package enum Runtime: Sendable {
            /// Ours: one version at least.
            case processes([Version])
            /// Others': called, never started.
            case external([URL])
        }

        package struct URL: Hashable, Sendable {
            package var url: MeshURL
            package var text: String
            package var mark: SourceMark
        }

        package var versions: [Version] { if case .processes(let versions) = runtime { versions } else { [] } }
        package var urls: [URL] { if case .external(let urls) = runtime { urls } else { [] } }
        package var isExternal: Bool { if case .external = runtime { true } else { false } }
        /// Processes, or addresses of an external service.
        package var replicas: Int { versions.reduce(0) { $0 + $1.replicas } }
        var endpointCount: Int { isExternal ? urls.count : replicas }
    }

    /// One version of a service; a service without `versions:` has one that has no name.
    package struct Version: Sendable {
        package var name: String?
        package var mark: SourceMark
        package var command: Command
        package var environment: [Variable]
        package var replicas: Int
        /// Its share of the calls, relative to the other versions'.
        package var weight: Int
    }

    package struct Variable: Hashable, Sendable {
        package var name: String
        package var value: String
    }

    /// Variables of a service whose values lie in files: read at every start, handed to its processes, and kept nowhere.
    package struct VariableFiles: Hashable, Sendable {
        /// `env_file:`; a later one counts over those before it.
        package var files: [File]
        /// Over `env_file:`.
        package var secrets: [Secret]

        package struct File: Hashable, Sendable {
            /// Absolute.
            package var path: String
            package var written: String
            package var mark: SourceMark

            package init(path: String, written: String, mark: SourceMark) {
                self.path = path
                self.written = written
                self.mark = mark
            }
        }

        package struct Secret: Hashable, Sendable {
            package var name: String
            /// It holds the value and nothing else.
            package var file: File

            package init(name: String, file: File) {
                self.name = name
                self.file = file
            }
        }

        package init(files: [File] = [], secrets: [Secret] = []) {
            self.files = files
            self.secrets = secrets
        }
    }

    /// What one process may take of the machine; nil for as much as there is.
    package struct Limits: Hashable, Sendable {
        package var memoryBytes: Int?
        /// Cores.
        package var cpus: Double?
        package var openFiles: Int?

        package init(memoryBytes: Int? = nil, cpus: Double? = nil, openFiles: Int? = nil) {
            self.memoryBytes = memoryBytes
            self.cpus = cpus
            self.openFiles = openFiles
        }
    }

    /// What is run.
    package struct Command: Hashable, Sendable {
        /// An absolute path, or a bare name to be looked up in PATH.
        package var executable: String
        package var arguments: [String]
        package var mark: SourceMark
        /// The executable as the file has it.
        package var written: String
    }

    /// An entry of `calls:`.
    package struct Call: Sendable {
        package var service: String
        package var mark: SourceMark
        package var manner: Manner

        /// How calls on an edge behave, and which of it was said.
        package struct Manner: Sendable {
            package var policy: CallPolicy
            /// With the defaults below it.
            var node: ConfigurationNode
            /// Without them.
            var ownNode: ConfigurationNode
        }

        package var policy: CallPolicy { manner.policy }
    }

    /// How it is found out whether a process is fit to get requests.
    package struct Probe: Hashable, Sendable {
        package enum Question: Hashable, Sendable {
            case http(method: String, path: String)
            case connect
            case command(String)
            case log(pattern: String)
        }

        package var question: Question
        package var every: Timespan
        package var timeout: Timespan
        package var failures: Int
        package var within: Timespan

        package init(
            question: Question = .http(method: "GET", path: "/healthz"), every: Timespan = .seconds(1), timeout: Timespan = .seconds(1),
            failures: Int = 3, within: Timespan = .seconds(30)
        ) {
            self.question = question
            self.every = every
            self.timeout = timeout
            self.failures = failures
            self.within = within
        }
    }

    /// What is done when a process ends.
    package struct RestartPolicy: Hashable, Sendable {
        package enum Condition: String, Hashable, Sendable { case always, onFailure = "on_failure", never }

        package var condition: Condition
        /// Before the first restart; doubled for each that follows soon.
        package var backoffBase: Timespan
        package var backoffMaximum: Timespan

        package init(condition: Condition = .always, backoffBase: Timespan = .milliseconds(200), backoffMaximum: Timespan = .seconds(30)) {
            self.condition = condition
            self.backoffBase = backoffBase
            self.backoffMaximum = backoffMaximum
        }
    }

    /// How a new version comes in.
    package struct Deploy: Hashable, Sendable {
        package enum Strategy: Hashable, Sendable {
            case rolling, recreate, blueGreen
            case canary(steps: [Double], pause: Timespan)
        }

        /// A number of replicas, or a share of them.
        package enum Bound: Hashable, Sendable {
            case count(Int)
            case share(Double)
        }

        package var strategy = Strategy.rolling
        package var maxSurge = Bound.count(1)
        package var maxUnavailable = Bound.count(0)
        package var minHealthyTime = Timespan.seconds(1)
        package var drain = Timespan.seconds(15)

        /// Where a canary says no steps of its own.
        package static let standardCanarySteps = [0.1, 0.5]

        package init() {}
    }

    package struct Traces: Hashable, Sendable {
        /// Absolute; nil for the place below the state folder.
        package var storePath: String?
        package var storedFor = Timespan.seconds(86_400)
        /// Bytes on disk; the oldest traces give way.
        package var storedAtMost: Int64 = 1_000_000_000
        package var keeping: TraceKeeping
        /// Where kept traces are sent besides.
        package var exports: [Export]
        /// Where spans of other programs are taken in; nil for nowhere.
        package var otlpListen: SocketAddress?

        /// An OTLP/HTTP endpoint, to which `/v1/traces` is added.
        package struct Export: Hashable, Sendable {
            /// The URL.
            package var text: String
            package var endpoint: Endpoint
            /// How it is checked, where the URL is one of https.
            package var tls = UpstreamTLS()
            /// Sent with every request.
            package var headers: [Header] = []

            package struct Header: Hashable, Sendable {
                package var name: String
                package var value: String
            }
        }
    }
}
