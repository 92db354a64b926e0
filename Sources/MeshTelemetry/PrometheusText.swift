package import MeshModel

/// The text format that Prometheus scrapes (exposition format 0.0.4).
package enum PrometheusText {
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    package static func render(_ families: [MetricFamily]) -> String {
        var text = ""
        for family in MetricFamily.merged(families) where !family.samples.isEmpty {
            text += "# HELP \(family.name) \(escaped(family.help, quotes: false))\n# TYPE \(family.name) \(family.kind.rawValue)\n"
            for sample in family.samples { write(sample, of: family, to: &text) }
        }
        return text
    }

    private static func write(_ sample: MetricSample, of family: MetricFamily, to text: inout String) {
        guard family.kind == .histogram else {
            text += "\(family.name)\(labels(sample.labels)) \(number(sample.value))\n"
            return
        }
        for bucket in sample.buckets {
            let bound = MetricLabel("le", number(bucket.bound))
            text += "\(family.name)_bucket\(labels(sample.labels + [bound])) \(bucket.count)\n"
        }
        text += "\(family.name)_bucket\(labels(sample.labels + [MetricLabel("le", "+Inf")])) \(sample.count)\n"
        text += "\(family.name)_sum\(labels(sample.labels)) \(number(sample.value))\n"
        text += "\(family.name)_count\(labels(sample.labels)) \(sample.count)\n"
    }

    private static func labels(_ labels: [MetricLabel]) -> String {
        guard !labels.isEmpty else { return "" }
        return "{" + labels.map { "\($0.name)=\"\(escaped($0.value, quotes: true))\"" }.joined(separator: ",") + "}"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
    }

    /// What may stand in the text as a name: other characters become underscores, and a digit does not come first.
    package static func name(_ text: String) -> String {
        let name = String(
            text.unicodeScalars.map { scalar in
                scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "_")
                    ? Character(scalar) : "_"
            })
        return name.first?.isNumber ?? true ? "_" + name : name
    }
}
