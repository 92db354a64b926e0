/// How much of what a replica says is kept: `olderFiles` files beside the one that is written to, each of about `bytes`.
package struct LogRetention: Hashable, Sendable {
    package var bytes: Int64
    package var olderFiles: Int

    package init(bytes: Int64 = 16 << 20, olderFiles: Int = 3) {
        self.bytes = bytes
        self.olderFiles = olderFiles
    }
}
