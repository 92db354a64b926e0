internal import CMeshSystem
internal import Glibc

/// Memory that two processes share, mapped here for as long as this object lives.
///
/// Invariant: its size can't change any more (sealed), so that no access within it can fail, whatever the other process does.
final class SharedMemory: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    let count: Int
    /// Of this process; closed with the object.
    let descriptor: Int32

    /// Makes zeroed memory; pages take room once they are touched.
    convenience init(name: String, count: Int) throws(SharedMemoryError) {
        let descriptor = mesh_memory_create(name, count)
        guard descriptor >= 0 else { throw SharedMemoryError(errno) }
        try self.init(descriptor: descriptor)
    }

    /// Maps what another process made, and takes over the descriptor.
    init(descriptor: Int32) throws(SharedMemoryError) {
        var size = 0
        guard let base = mesh_memory_map(descriptor, &size) else {
            let error = SharedMemoryError(errno)
            close(descriptor)
            throw error
        }
        self.base = base
        count = size
        self.descriptor = descriptor
    }

    deinit {
        mesh_memory_unmap(base, count)
        close(descriptor)
    }
}

struct SharedMemoryError: Error, CustomStringConvertible {
    let code: Int32

    init(_ code: Int32) { self.code = code }

    var description: String { String(cString: strerror(code)) }
}
