package import MeshExchange

/// A configuration on its way: its revision is read at once, the rest only when it is installed, so that one that this
/// instance can't understand is refused by its revision, and one that the daemon sends to many is encoded once.
package struct ConfigurationMessage: Hashable, Sendable {
    package var revision: UInt64
    /// An encoded `SnapshotConfiguration`.
    package var json: [UInt8]

    private struct Envelope: Decodable { var revision: UInt64 }

    package init(_ configuration: SnapshotConfiguration) {
        revision = configuration.revision
        json = Payload.encode(configuration)
    }

    init(_ frame: Frame) throws(MalformedMessage) {
        revision = try Payload.decode(Envelope.self, from: frame).revision
        json = frame.payload
    }

    /// For tests of what carries configurations; everyone else encodes a `SnapshotConfiguration`.
    package init(revision: UInt64, json: [UInt8]) {
        self.revision = revision
        self.json = json
    }

    package func decoded() throws(MalformedMessage) -> SnapshotConfiguration {
        try Payload.decode(SnapshotConfiguration.self, from: DaemonMessage.configuration(self).frame)
    }
}
