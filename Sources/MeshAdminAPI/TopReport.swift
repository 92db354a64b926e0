/// What the instances and their machine use: `top --json`. Every field is always written, `null` where there is nothing to say.
package struct TopReport: Hashable, Sendable, Codable {
    package var node: Node
    package var instances: [Instance]

    package struct Node: Hashable, Sendable, Codable {
        package var host: String
        package var cores: Int
        /// Of the last minute.
        package var load: Double
        /// Of all cores together: 100 is all of them at work. Nil before there were two looks.
        package var cpuPercent: Double?
        package var memoryTotalBytes: Int
        package var memoryAvailableBytes: Int
        /// The daemon itself.
        package var daemon: Usage

        package init(
            host: String, cores: Int, load: Double, cpuPercent: Double?, memoryTotalBytes: Int, memoryAvailableBytes: Int, daemon: Usage
        ) {
            self.host = host
            self.cores = cores
            self.load = load
            self.cpuPercent = cpuPercent
            self.memoryTotalBytes = memoryTotalBytes
            self.memoryAvailableBytes = memoryAvailableBytes
            self.daemon = daemon
        }

        private enum CodingKeys: String, CodingKey {
            case host, cores, load
            case cpuPercent = "cpu_percent"
            case memoryTotalBytes = "memory_total_bytes"
            case memoryAvailableBytes = "memory_available_bytes"
            case daemon
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(host, forKey: .host)
            try container.encode(cores, forKey: .cores)
            try container.encode(load, forKey: .load)
            try container.encode(cpuPercent, forKey: .cpuPercent)
            try container.encode(memoryTotalBytes, forKey: .memoryTotalBytes)
            try container.encode(memoryAvailableBytes, forKey: .memoryAvailableBytes)
            try container.encode(daemon, forKey: .daemon)
        }
    }

    /// Of one process.
    package struct Usage: Hashable, Sendable, Codable {
        package var pid: Int
        /// Of one core; nil before there were two looks.
        package var cpuPercent: Double?
        package var rssBytes: Int
        package var descriptors: Int
        package var threads: Int

        package init(pid: Int, cpuPercent: Double? = nil, rssBytes: Int, descriptors: Int, threads: Int) {
            self.pid = pid
            self.cpuPercent = cpuPercent
            self.rssBytes = rssBytes
            self.descriptors = descriptors
            self.threads = threads
        }

        private enum CodingKeys: String, CodingKey {
            case pid
            case cpuPercent = "cpu_percent"
            case rssBytes = "rss_bytes"
            case descriptors = "fds"
            case threads
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(pid, forKey: .pid)
            try container.encode(cpuPercent, forKey: .cpuPercent)
            try container.encode(rssBytes, forKey: .rssBytes)
            try container.encode(descriptors, forKey: .descriptors)
            try container.encode(threads, forKey: .threads)
        }
    }

    package struct Instance: Hashable, Sendable, Codable {
        package var service: String
        package var tier: String
        package var instance: String
        package var state: InstanceState
        /// Nil where no process lives.
        package var usage: Usage?
        /// Over the last minute, oldest first: `cpu_percent` every two seconds.
        package var cpuHistory: [Double]
        package var memoryLimitBytes: Int?
        package var descriptorLimit: Int?
        /// Requests per second that it answered, over the last ten seconds; nil where it does not say.
        package var rps: Double?
        /// Of those, what it failed: 0...1; nil without a request.
        package var failedRatio: Double?

        package init(
            service: String, tier: String, instance: String, state: InstanceState, usage: Usage? = nil, cpuHistory: [Double] = [],
            memoryLimitBytes: Int? = nil, descriptorLimit: Int? = nil, rps: Double? = nil, failedRatio: Double? = nil
        ) {
            self.service = service
            self.tier = tier
            self.instance = instance
            self.state = state
            self.usage = usage
            self.cpuHistory = cpuHistory
            self.memoryLimitBytes = memoryLimitBytes
            self.descriptorLimit = descriptorLimit
            self.rps = rps
            self.failedRatio = failedRatio
        }

        private enum CodingKeys: String, CodingKey {
            case service, tier, instance, state, usage
            case cpuHistory = "cpu_history"
            case memoryLimitBytes = "memory_limit_bytes"
            case descriptorLimit = "fd_limit"
            case rps
            case failedRatio = "failed_ratio"
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(service, forKey: .service)
            try container.encode(tier, forKey: .tier)
            try container.encode(instance, forKey: .instance)
            try container.encode(state, forKey: .state)
            try container.encode(usage, forKey: .usage)
            try container.encode(cpuHistory, forKey: .cpuHistory)
            try container.encode(memoryLimitBytes, forKey: .memoryLimitBytes)
            try container.encode(descriptorLimit, forKey: .descriptorLimit)
            try container.encode(rps, forKey: .rps)
            try container.encode(failedRatio, forKey: .failedRatio)
        }
    }

    package init(node: Node, instances: [Instance]) {
        self.node = node
        self.instances = instances
    }
}
