internal import Glibc
internal import Synchronization

/// A seam for tests: a place where the daemon can be made to die as by `kill -9`, to see what the next one makes of what it left.
///
/// `MESH_FAULT_POINT=drain-published` ends the process when it comes there, `drain-published:2` when it does for the second time.
/// Read once; without it a place costs a comparison.
package enum FaultPoint: String, CaseIterable, Sendable {
    /// A new replica has its folder, and nothing else.
    case folderMade = "folder-made"
    /// It is written down, and has no process yet.
    case replicaSaved = "replica-saved"
    case shimLaunched = "shim-launched"
    case specificationWritten = "specification-written"
    case startSent = "start-sent"
    /// Which calls it gets is written down, and no caller knows.
    case admissionSaved = "admission-saved"
    case sharePublished = "share-published"
    case releasePublished = "release-published"
    /// Callers know of old ones that stand by.
    case holdPublished = "hold-published"
    /// Callers know that a replica goes; it does not.
    case drainPublished = "drain-published"
    case drainSent = "drain-sent"
    case stopSent = "stop-sent"
    case shimEnded = "shim-ended"
    case replicaRemoved = "replica-removed"
    /// All replicas are as they are wanted, and that is not written down.
    case rolloutDone = "rollout-done"
    case historyWritten = "history-written"

    package func passed() {
        guard let armed = Self.armed, armed.point == self else { return }
        guard Self.count.wrappingAdd(1, ordering: .relaxed).newValue == armed.count else { return }
        kill(getpid(), SIGKILL)
    }

    private static let count = Atomic(0)

    private static let armed: (point: FaultPoint, count: Int)? = {
        guard let text = getenv("MESH_FAULT_POINT").map({ String(cString: $0) }) else { return nil }
        let parts = text.split(separator: ":", maxSplits: 1)
        guard let name = parts.first, let point = FaultPoint(rawValue: String(name)) else { return nil }
        return (point, parts.count == 2 ? Int(parts[1]) ?? 1 : 1)
    }()
}
