internal import MeshModel
internal import Synchronization

/// What all loops of a process share: its name in the mesh, and accounts that are kept by the process as a whole.
final class SharedState: Sendable {
    let service: String
    let tier: String
    let resolver: NameResolver
    let replay: ReplayAccount
    /// Fields that every forwarded request gets: `via`, and inside the mesh `mesh-caller`.
    let meshRequestFields: [UInt8]
    let outsideRequestFields: [UInt8]
    /// Fields that every forwarded response gets.
    let responseFields: [UInt8]
    /// Copies of requests that were not sent, or not to their end, for want of room.
    let mirrorsDropped = Atomic<Int>(0)
    /// How many requests this process works on at once.
    let seats = Seats()

    init(service: String, tier: String, resolver: NameResolver, replay: ReplayAccount) {
        self.service = service
        self.tier = tier
        self.resolver = resolver
        self.replay = replay
        // Both names are tokens: mesh.yaml allows no others for services.
        let via = "via: 1.1 \(service)\r\n"
        outsideRequestFields = Array(via.utf8)
        meshRequestFields = Array("\(via)mesh-caller: \(service)\r\n".utf8)
        responseFields = Array(via.utf8)
    }
}
