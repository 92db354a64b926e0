/// Measurements of one name, as they are told from process to process and read by Prometheus.
package struct MetricFamily: Hashable, Sendable, Codable {
    package enum Kind: String, Hashable, Sendable, Codable { case counter, gauge, histogram }

    /// Letters, digits and underscores; a counter's ends in `_total`.
    package var name: String
    package var help: String
    package var kind: Kind
    package var samples: [MetricSample]

    package init(_ name: String, _ kind: Kind, help: String, samples: [MetricSample] = []) {
        self.name = name
        self.help = help
        self.kind = kind
        self.samples = samples
    }

    /// The same with these labels before every sample's own, which go where they are of the same name.
    package func labelled(_ labels: [MetricLabel]) -> MetricFamily {
        var result = self
        for index in samples.indices {
            result.samples[index].labels = labels + samples[index].labels.filter { own in !labels.contains { $0.name == own.name } }
        }
        return result
    }

    /// Families of one name become one: a text may say each but once. The order is that of their first samples.
    package static func merged(_ families: [MetricFamily]) -> [MetricFamily] {
        var places: [String: Int] = [:]
        var result: [MetricFamily] = []
        for family in families {
            if let place = places[family.name] {
                // Two kinds under one name can't be told apart by a reader: the first one rules.
                if result[place].kind == family.kind { result[place].samples += family.samples }
            } else {
                places[family.name] = result.count
                result.append(family)
            }
        }
        return result
    }
}

package struct MetricLabel: Hashable, Sendable, Codable {
    package var name: String
    package var value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

package struct MetricSample: Hashable, Sendable, Codable {
    package var labels: [MetricLabel]
    /// Of a histogram, the sum of what was measured.
    package var value: Double
    /// Of a histogram: how many were at most as large as each bound, bounds rising; then how many there were.
    package var buckets: [MetricBucket]
    package var count: UInt64

    package init(_ value: Double, labels: [MetricLabel] = []) {
        self.labels = labels
        self.value = value
        buckets = []
        count = 0
    }

    package init(sum: Double, count: UInt64, buckets: [MetricBucket], labels: [MetricLabel] = []) {
        self.labels = labels
        value = sum
        self.buckets = buckets
        self.count = count
    }
}

package struct MetricBucket: Hashable, Sendable, Codable {
    package var bound: Double
    package var count: UInt64

    package init(bound: Double, count: UInt64) {
        self.bound = bound
        self.count = count
    }
}
