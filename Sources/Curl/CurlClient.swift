import CCurl
import CCurlShims
import Dispatch
import Foundation
import MeshModel
import Synchronization

/// An HTTP client over libcurl; safe to use from many threads, each of which blocks until its answer is there.
///
/// Connections are kept and reused: a request takes the handle that was put back last, or a new one while all are in use, so that n requests
/// in parallel use n connections and as many are left for the next.
/// Redirects are not followed, proxies of the environment are not used, and paths are sent as they are given.
package final class CurlClient: Sendable {
    private let idle = Guarded<[CurlHandle]>([])
    private let mostIdle: Int

    /// - Parameter mostIdle: how many unused handles, each with its connections, are kept.
    package init(mostIdle: Int = 64) { self.mostIdle = mostIdle }

    deinit {
        idle.withLock { handles in
            for handle in handles { handle.free() }
        }
    }

    /// Closes the connections that no request uses now.
    package func closeIdleConnections() {
        let handles = idle.withLock { handles in
            defer { handles = [] }
            return handles
        }
        for handle in handles { handle.free() }
    }

    /// Sends a request and waits for the whole answer, whatever its status.
    package func send(_ request: CurlRequest, cancellation: CurlCancellation? = nil) throws(CurlError) -> CurlResponse {
        try perform(request, cancellation: cancellation) { _, _ in nil }
    }

    /// Sends a request and hands the body of a 2xx answer on as it comes; any other answer's body is collected.
    ///
    /// - Parameter head: called once with the final head, before any piece.
    package func stream(
        _ request: CurlRequest, cancellation: CurlCancellation? = nil,
        head: @escaping (_ status: Int, _ headers: [CurlHeader]) -> Void = { _, _ in },
        piece: @escaping (UnsafeRawBufferPointer) -> CurlFlow
    ) throws(CurlError) -> CurlResponse {
        try perform(request, cancellation: cancellation) { status, headers in
            head(status, headers)
            return (200..<300).contains(status) ? piece : nil
        }
    }

    /// Sends a request and hands the body of a 2xx answer on line by line (JSON lines); any other answer's body is collected.
    package func lines(
        _ request: CurlRequest, cancellation: CurlCancellation? = nil, line: @escaping ([UInt8]) -> CurlFlow
    ) throws(CurlError) -> CurlResponse {
        var splitter = LineSplitter()
        let response = try stream(request, cancellation: cancellation) { bytes in
            splitter.feed(bytes) { line($0) == .goOn } ? .goOn : .stop
        }
        if let last = splitter.finish() { _ = line(last) }
        return response
    }

    /// `send`, without blocking the thread of the task that calls; cancelling the task cancels the request.
    package func response(to request: CurlRequest) async throws -> CurlResponse {
        let cancellation = CurlCancellation()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                Self.startThread {
                    continuation.resume(with: Result { try self.send(request, cancellation: cancellation) })
                }
            }
        } onCancel: {
            cancellation.cancel()
        }
    }

    /// Sends all requests, at most `concurrency` at a time, each on a thread of its own; the results stand in the requests' order.
    package func sendAll(_ requests: [CurlRequest], concurrency: Int) -> [Result<CurlResponse, CurlError>] {
        let next = Atomic(0)
        let results = Guarded([Result<CurlResponse, CurlError>?](repeating: nil, count: requests.count))
        let group = DispatchGroup()
        for _ in 0..<min(concurrency, requests.count) {
            group.enter()
            Self.startThread {
                defer { group.leave() }
                while true {
                    let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                    guard index < requests.count else { return }
                    let result = Result { () throws(CurlError) in try self.send(requests[index]) }
                    results.withLock { $0[index] = result }
                }
            }
        }
        group.wait()
        return results.withLock { $0.compactMap { $0 } }
    }

    /// Runs work that blocks, apart from the few threads of Swift's concurrency and of Dispatch.
    private static func startThread(_ work: @escaping @Sendable () -> Void) {
        let thread = Thread(block: work)
        thread.stackSize = 512 << 10
        thread.start()
    }

    private func perform(
        _ request: CurlRequest, cancellation: CurlCancellation?,
        makeSink: @escaping (_ status: Int, _ headers: [CurlHeader]) -> CurlTransfer.Sink?
    ) throws(CurlError) -> CurlResponse {
        let handle: CurlHandle
        if let kept = idle.withLock({ $0.popLast() }) { handle = kept } else { handle = try CurlHandle() }
        defer {
            let isKept = idle.withLock { handles in
                guard handles.count < mostIdle else { return false }
                handles.append(handle)
                return true
            }
            if !isKept { handle.free() }
        }
        cancellation?.attach(handle)
        defer { cancellation?.detach() }
        return try handle.perform(request, isCancelled: { cancellation?.isCancelled ?? false }, makeSink: makeSink)
    }
}
