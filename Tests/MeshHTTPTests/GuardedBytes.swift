import Glibc
import MeshModel

/// Gives bytes to a reader at the very end of a page behind which nothing may be read, so that a read past the end ends the test.
enum GuardedBytes {
    private static let pageSize = 4096
    private static let room = 64 * pageSize
    private static let idle = Guarded<[UInt]>([])

    static func with<Result, Failure: Error>(
        _ bytes: some Collection<UInt8>, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(bytes.count <= room)
        let address = idle.withLock { $0.popLast() } ?? map()
        defer { idle.withLock { $0.append(address) } }
        let start = UnsafeMutableRawPointer(bitPattern: address + UInt(room - bytes.count))!
        let target = UnsafeMutableRawBufferPointer(start: start, count: bytes.count)
        target.copyBytes(from: bytes)
        return try body(UnsafeRawBufferPointer(target))
    }

    private static func map() -> UInt {
        let region = mmap(nil, room + pageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
        precondition(region != MAP_FAILED && mprotect(region + room, pageSize, PROT_NONE) == 0)
        return UInt(bitPattern: region)
    }
}
