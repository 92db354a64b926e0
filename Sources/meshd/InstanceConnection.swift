import MeshControlProtocol
import MeshModel
import NIOCore

/// One instance's connection to this daemon, as the daemon's own code holds it.
///
/// Sending never waits: an instance that reads too slowly is cut off by `InstanceServer` and comes back with what it has.
struct InstanceConnection: Sendable, Hashable {
    private let channel: any Channel

    init(_ channel: any Channel) { self.channel = channel }

    func send(_ message: DaemonMessage) {
        guard let bytes = try? message.frame.encoded() else { return }
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
    }

    func close() { channel.close(promise: nil) }

    static func == (left: InstanceConnection, right: InstanceConnection) -> Bool { left.channel === right.channel }
    func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(channel)) }
}
