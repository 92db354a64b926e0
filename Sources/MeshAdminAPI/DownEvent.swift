/// One line of the stream that `POST /v1/down` answers with, told apart by the key `event`.
///
/// A stream ends with exactly one `finished` or `failed`; the daemon closes the connection and ends after `finished`.
package enum DownEvent: Hashable, Sendable {
    /// Where a tier stands: `ready` counts the instances that are gone.
    case tier(TierProgress)
    case warning(Notice)
    case finished(DownResult)
    case failed(UpFailure)

    package struct DownResult: Hashable, Sendable, Codable {
        /// Instances that were stopped; 0 when none ran.
        package var processes: Int
        /// How many of them had to be killed, since they outlived their drain.
        package var killed: Int
        package var seconds: Double

        package init(processes: Int, killed: Int = 0, seconds: Double) {
            self.processes = processes
            self.killed = killed
            self.seconds = seconds
        }
    }
}

extension DownEvent: Codable {
    private enum CodingKeys: String, CodingKey { case event }
    private enum Kind: String, Codable { case tier, warning, finished, failed }

    package init(from decoder: any Decoder) throws {
        self =
            switch try decoder.container(keyedBy: CodingKeys.self).decode(Kind.self, forKey: .event) {
            case .tier: .tier(try TierProgress(from: decoder))
            case .warning: .warning(try Notice(from: decoder))
            case .finished: .finished(try DownResult(from: decoder))
            case .failed: .failed(try UpFailure(from: decoder))
            }
    }

    package func encode(to encoder: any Encoder) throws {
        let (kind, payload): (Kind, any Encodable) =
            switch self {
            case .tier(let value): (.tier, value)
            case .warning(let value): (.warning, value)
            case .finished(let value): (.finished, value)
            case .failed(let value): (.failed, value)
            }
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(kind, forKey: .event)
        try payload.encode(to: encoder)
    }
}
