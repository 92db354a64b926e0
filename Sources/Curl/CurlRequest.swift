/// One HTTP request, as libcurl is to send it.
package struct CurlRequest: Sendable {
    package var method: String
    /// With scheme and authority also where a Unix socket carries it: `http://mesh/v1/status`.
    package var url: String
    /// The Unix socket to connect to in place of the URL's authority.
    package var unixSocket: String?
    /// In this order, duplicates included. A field that libcurl would add (`Accept`, `User-Agent`) is given by naming it here.
    package var headers: [CurlHeader]
    package var body: Body
    package var version: Version
    /// Until a connection stands, name resolution and TLS included.
    package var connectTimeout: Duration
    /// Until the whole answer is there; nil for streams.
    package var timeout: Duration?
    /// Whether a kept connection may carry it.
    package var reusesConnection: Bool
    /// Whether its connection is kept for the next request.
    package var keepsConnection: Bool
    /// Addresses to use in place of a look-up, each `host:port:address` (CURLOPT_RESOLVE).
    package var resolve: [String]
    package var tls: TLS
    /// A larger body is an error (`bodyTooLarge`); bodies that are streamed have no limit.
    package var bodyLimit: Int

    package enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// Sent as it comes: chunked in HTTP/1.1. Called on the thread that sends, with the most bytes it may return; nil ends the body.
        case stream(@Sendable (_ capacity: Int) -> [UInt8]?)

        package static func text(_ text: String) -> Body { .bytes(Array(text.utf8)) }
    }

    package enum Version: Sendable {
        case automatic, http10, http11
        /// HTTP/2 where TLS agrees on it.
        case http2
        /// HTTP/2 without asking, also in clear text.
        case http2PriorKnowledge
    }

    package struct TLS: Sendable {
        package var verifiesPeer: Bool
        /// A PEM file of the authorities to trust; nil for the system's.
        package var authorities: String?

        package init(verifiesPeer: Bool = true, authorities: String? = nil) {
            self.verifiesPeer = verifiesPeer
            self.authorities = authorities
        }
    }

    package init(
        _ method: String = "GET", _ url: String, unixSocket: String? = nil, headers: [CurlHeader] = [], body: Body = .none,
        version: Version = .automatic, connectTimeout: Duration = .seconds(5), timeout: Duration? = .seconds(30),
        reusesConnection: Bool = true, keepsConnection: Bool = true, resolve: [String] = [], tls: TLS = TLS(), bodyLimit: Int = 256 << 20
    ) {
        self.method = method
        self.url = url
        self.unixSocket = unixSocket
        self.headers = headers
        self.body = body
        self.version = version
        self.connectTimeout = connectTimeout
        self.timeout = timeout
        self.reusesConnection = reusesConnection
        self.keepsConnection = keepsConnection
        self.resolve = resolve
        self.tls = tls
        self.bodyLimit = bodyLimit
    }
}

/// One header field; names compare without regard to case.
package struct CurlHeader: Hashable, Sendable, CustomStringConvertible {
    package var name: String
    package var value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    package var description: String { "\(name): \(value)" }
}

extension [CurlHeader] {
    /// The value of the first field of that name.
    package subscript(_ name: String) -> String? {
        first { $0.name.lowercased() == name.lowercased() }?.value
    }

    /// The values of all fields of that name, in their order.
    package func values(of name: String) -> [String] {
        filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }
}
