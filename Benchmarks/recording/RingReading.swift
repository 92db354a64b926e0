import Foundation
import MeshModel
import MeshTelemetry

/// Reads the rings of a pipeline on a thread of its own, until it is told to end.
final class RingReading: Sendable {
    private let isEnding = Guarded(false)
    private let count = Guarded(0)
    private let ended = DispatchSemaphore(value: 0)

    init(_ pipeline: TelemetryPipeline) throws {
        let source = try pipeline.makeSource()
        Thread.detachNewThread { [self] in
            var bytes: [UInt8] = []
            var isLast = false
            while !isLast {
                usleep(500)
                isLast = isEnding.withLock { $0 }
                let read = source.drain(into: &bytes)
                bytes.removeAll(keepingCapacity: true)
                count.withLock { $0 += read }
            }
            ended.signal()
        }
    }

    /// - Returns: how many spans were read.
    func end() -> Int {
        isEnding.withLock { $0 = true }
        ended.wait()
        return count.withLock { $0 }
    }
}
