package import MeshExchange
package import MeshModel
package import MeshPolicy

/// A whole mesh as it is simulated: every service with the snapshot that its processes would be sent, and how it works.
package struct Topology: Sendable {
    /// One service; the first one of a topology is the gateway.
    package struct Service: Sendable {
        package var configuration: SnapshotConfiguration
        package var instances: [InstanceID]
        /// What it calls for each request, one after the other.
        package var calls: [String]
        /// What it does itself for each request, before its calls; exponentially distributed about this mean.
        package var work: Timespan
        /// How many requests one instance can work on at the same time; the others wait their turn. nil for any number.
        package var workers: Int?
        /// It passes requests on as a sidecar does, and so hands down all of its retry credit; code of a service keeps half of it.
        package var passesOn: Bool

        package var name: String { configuration.service }

        package init(
            _ configuration: SnapshotConfiguration, instances: [InstanceID], calls: [String] = [], work: Timespan = .milliseconds(5),
            workers: Int? = nil, passesOn: Bool = false
        ) {
            self.configuration = configuration
            self.instances = instances
            self.calls = calls
            self.work = work
            self.workers = workers
            self.passesOn = passesOn
        }
    }

    /// What goes wrong with a service, in a span of the run.
    package struct Trouble: Hashable, Sendable {
        package enum Kind: Hashable, Sendable {
            case status(Int)
            /// The connection is closed in place of an answer.
            case reset
            /// Nobody listens.
            case refuse
            /// There is never an answer.
            case hang
            /// It takes longer by this.
            case slow(Timespan)
        }

        package var service: String
        package var kind: Kind
        /// Of the attempts that arrive.
        package var share: Double
        package var from: Timespan
        package var until: Timespan?
        /// Only at this one of its instances, from 0; nil for all.
        package var instance: Int?

        package init(
            _ service: String, _ kind: Kind, share: Double = 1, from: Timespan = .zero, until: Timespan? = nil, instance: Int? = nil
        ) {
            self.service = service
            self.kind = kind
            self.share = share
            self.from = from
            self.until = until
            self.instance = instance
        }

        func strikes(instance: Int, at time: Timespan, random: inout RandomSource) -> Bool {
            guard time >= from, until.map({ time < $0 }) ?? true, self.instance.map({ $0 == instance }) ?? true else { return false }
            return share >= 1 || random.nextUnit() < share
        }
    }

    /// Who asks the gateway: arrivals are independent of answers, with exponential gaps.
    package struct Load: Sendable {
        package var perSecond: Double
        package var lasts: Timespan
        /// Indices of the gateway's routes that are asked for, each as often as the others.
        package var routes: [Int]
        package var method: MethodSet
        /// The share of clients that leave within 60 ms.
        package var leaves = 0.0

        package init(perSecond: Double = 100, lasts: Timespan = .seconds(10), routes: [Int], method: MethodSet = .get) {
            self.perSecond = perSecond
            self.lasts = lasts
            self.routes = routes
            self.method = method
        }
    }

    package var services: [Service]
    package var troubles: [Trouble]
    package var load: Load
    /// One way between two processes.
    package var hop: Timespan

    package init(services: [Service], troubles: [Trouble] = [], load: Load, hop: Timespan = .microseconds(100)) {
        self.services = services
        self.troubles = troubles
        self.load = load
        self.hop = hop
    }
}
