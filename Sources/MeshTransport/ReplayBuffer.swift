internal import NIOCore
internal import Synchronization

/// The body of a request, kept until its call is committed, so that another attempt can send it again.
///
/// Pieces are shared with the read buffers and not copied.
struct ReplayBuffer {
    /// Bytes per call; a body above it commits the call.
    static let limit = 64 << 10

    private(set) var pieces: [ByteBuffer] = []
    private(set) var bytes = 0
    /// False once the call is committed: nothing is kept any more.
    private(set) var isOpen = true

    /// Keeps a piece; false where there is no room for it in this call or in this process.
    mutating func append(_ piece: ByteBuffer, account: ReplayAccount) -> Bool {
        let size = piece.readableBytes
        guard isOpen, bytes + size <= Self.limit, account.take(size) else { return false }
        pieces.append(piece)
        bytes += size
        return true
    }

    mutating func close(account: ReplayAccount) {
        guard isOpen else { return }
        isOpen = false
        discard(account: account)
    }

    /// Empties and opens it for the next call.
    mutating func reset(account: ReplayAccount) {
        discard(account: account)
        isOpen = true
    }

    private mutating func discard(account: ReplayAccount) {
        guard bytes > 0 else { return }
        account.give(bytes)
        bytes = 0
        pieces.removeAll(keepingCapacity: pieces.count <= 16)
    }
}

/// How much all replay buffers of the process hold.
final class ReplayAccount: Sendable {
    static let defaultLimit = 64 << 20

    private let limit: Int
    private let taken = Atomic<Int>(0)
    private let refused = Atomic<Int>(0)

    init(limit: Int = ReplayAccount.defaultLimit) { self.limit = limit }

    var bytes: Int { taken.load(ordering: .relaxed) }
    /// Calls that went on without the possibility of a retry.
    var overflows: Int { refused.load(ordering: .relaxed) }

    func take(_ size: Int) -> Bool {
        let before = taken.wrappingAdd(size, ordering: .relaxed).oldValue
        guard before + size > limit else { return true }
        taken.wrappingSubtract(size, ordering: .relaxed)
        return false
    }

    func give(_ size: Int) { taken.wrappingSubtract(size, ordering: .relaxed) }

    func countOverflow() { refused.wrappingAdd(1, ordering: .relaxed) }
}
