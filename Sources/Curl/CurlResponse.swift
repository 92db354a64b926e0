/// One HTTP answer.
package struct CurlResponse: Sendable {
    package var status: Int
    /// `HTTP/1.1`, `HTTP/2`, as the status line says.
    package var version: String
    package var headers: [CurlHeader]
    package var trailers: [CurlHeader]
    /// The 1xx answers that came before.
    package var informational: [CurlInformational]
    /// Empty where it was streamed.
    package var body: [UInt8]
    package var phases: CurlPhases
    package var connection: CurlConnection

    package var text: String { String(decoding: body, as: UTF8.self) }
    package var isSuccess: Bool { (200..<300).contains(status) }
}

package struct CurlInformational: Hashable, Sendable {
    package var status: Int
    package var headers: [CurlHeader]
}

package struct CurlConnection: Hashable, Sendable {
    package var wasReused: Bool
    package var remoteAddress: String
    package var remotePort: Int
    package var localPort: Int
}

/// Where the time of one request went, as points on one line that begins at zero (curl's `--write-out` times).
///
/// A phase that did not happen (a look-up on a Unix socket, anything on a reused connection) has no length.
package struct CurlPhases: Hashable, Sendable {
    package var nameLookedUp: Duration
    package var connected: Duration
    /// Zero without TLS.
    package var secured: Duration
    package var requestBegan: Duration
    package var firstByte: Duration
    package var ended: Duration

    package init(
        nameLookedUp: Duration = .zero, connected: Duration = .zero, secured: Duration = .zero, requestBegan: Duration = .zero,
        firstByte: Duration = .zero, ended: Duration = .zero
    ) {
        self.nameLookedUp = nameLookedUp
        self.connected = connected
        self.secured = secured
        self.requestBegan = requestBegan
        self.firstByte = firstByte
        self.ended = ended
    }

    package var dns: Duration { nameLookedUp }
    package var connect: Duration { max(.zero, connected - nameLookedUp) }
    package var tls: Duration { max(.zero, secured - connected) }
    /// From the request's first byte to the answer's first.
    package var wait: Duration { firstByte == .zero ? .zero : max(.zero, firstByte - requestBegan) }
    package var transfer: Duration { firstByte == .zero ? .zero : max(.zero, ended - firstByte) }
    package var total: Duration { ended }
}

/// Why there is no answer, or no whole one.
package struct CurlError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Hashable, Sendable {
        case malformedURL
        case cannotResolve
        /// Nobody listens there, or the socket's path does not exist.
        case cannotConnect
        case timedOut
        /// The peer closed or reset the connection before the answer's end.
        case closed
        /// The answer ended before the length it had named.
        case bodyIncomplete
        case bodyTooLarge
        case tls
        /// The answer was not HTTP, or broke its framing.
        case protocolError
        /// By `CurlCancellation.cancel()`.
        case cancelled
        case other
    }

    package var kind: Kind
    /// libcurl's own number (CURLcode); 0 for what was decided here.
    package var code: Int
    package var message: String
    /// How far it came.
    package var phases: CurlPhases
    /// The status, if a final head had come.
    package var status: Int?

    package var description: String { code == 0 ? message : "\(message) (curl \(code))" }
}
