package import MeshModel

/// What the daemon says to an instance.
package enum DaemonMessage: Hashable, Sendable {
    /// All that rules the instance from now on, replacing what ruled before. Answered by `acknowledged` or `refused`.
    case configuration(ConfigurationMessage)
    /// Finish what is in flight, take nothing new, then end.
    case drain(Drain)

    private enum Kind: UInt8 {
        case configuration = 128
        case drain = 129
    }

    package var frame: Frame {
        switch self {
        case .configuration(let configuration): Frame(type: Kind.configuration.rawValue, payload: configuration.json)
        case .drain(let drain): Frame(type: Kind.drain.rawValue, payload: Payload.encode(drain))
        }
    }

    /// Reads a frame; nil for a type that a newer daemon may say, which is to be ignored.
    package init?(_ frame: Frame) throws(MalformedMessage) {
        guard let kind = Kind(rawValue: frame.type) else { return nil }
        switch kind {
        case .configuration: self = .configuration(try ConfigurationMessage(frame))
        case .drain: self = .drain(try Payload.decode(Drain.self, from: frame))
        }
    }
}

package struct Drain: Hashable, Sendable, Codable {
    /// What is in flight longer than this is broken off. Relative, so that no clock is shared.
    package var within: Timespan

    /// What a daemon means that does not say it.
    package static let defaultWithin = Timespan.seconds(15)

    package init(within: Timespan = defaultWithin) { self.within = within }

    private enum CodingKeys: String, CodingKey { case within = "within_ms" }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        // At most a day, so that no sum of times overflows.
        within = .milliseconds(min(max(try fields.decode(.within, default: Self.defaultWithin.milliseconds), 0), 86_400_000))
    }

    package func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(within.milliseconds, forKey: .within)
    }
}
