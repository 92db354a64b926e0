/// A message that must not be forwarded, and what to answer.
///
/// The connection that it came on is not used again: where one message ends can no longer be told.
@frozen
package struct MessageError: Error, Hashable, Sendable, BitwiseCopyable {
    package let reason: Reason
    /// The status to answer a request with; 502 where a response was bad.
    package let status: Int

    package init(_ reason: Reason) {
        self.reason = reason
        self.status = reason.status
    }

    init(inResponse reason: Reason) {
        self.reason = reason
        self.status = 502
    }

    package enum Reason: UInt8, Hashable, Sendable, CaseIterable, BitwiseCopyable {
        // The start line.
        case requestLine, method, target, targetForm, targetTooLong, version, versionUnsupported, statusLine, statusCode
        // The fields.
        case headTooLarge, tooManyFields, emptyFieldName, fieldName, spaceBeforeColon, missingColon, foldedLine, fieldValue
        case bareCarriageReturn, bareLineFeed
        case missingHost, repeatedHost, invalidHost
        case connectionOptions, expectation
        // The framing.
        case contentLength, repeatedContentLength, contentLengthAndTransferEncoding
        case transferEncoding, unknownTransferCoding, transferEncodingInVersion10, bodyNotAllowed, unaskedUpgrade
        // The body.
        case chunkSize, chunkExtension, chunkEnd, trailers, bodyTooLarge, truncated
        // The path.
        case path, pathEscapesRoot, ambiguousPath
    }
}

extension MessageError.Reason {
    /// The status of RFC 9110 and RFC 9112 for a request with this fault.
    package var status: Int {
        switch self {
        case .targetTooLong: 414
        case .headTooLarge, .tooManyFields: 431
        case .versionUnsupported: 505
        case .unknownTransferCoding: 501
        case .expectation: 417
        case .bodyTooLarge: 413
        default: 400
        }
    }

    /// What is wrong, for the answer's detail and the access log.
    package var description: StaticString {
        switch self {
        case .requestLine: "the request line is malformed"
        case .method: "the method is no token"
        case .target: "the request target holds a byte that is not allowed there"
        case .targetForm: "the form of the request target does not fit the method"
        case .targetTooLong: "the request target is too long"
        case .version: "the HTTP version is malformed"
        case .versionUnsupported: "the HTTP version is not supported"
        case .statusLine: "the status line is malformed"
        case .statusCode: "the status code is not within 100 to 599"
        case .headTooLarge: "the head is too large"
        case .tooManyFields: "the head has too many fields"
        case .emptyFieldName: "a field has no name"
        case .fieldName: "a field name holds a byte that is not allowed there"
        case .spaceBeforeColon: "there is white space between a field name and its colon"
        case .missingColon: "a field line has no colon"
        case .foldedLine: "a field line is folded"
        case .fieldValue: "a field value holds a control byte"
        case .bareCarriageReturn: "a carriage return is not followed by a line feed"
        case .bareLineFeed: "a line feed does not follow a carriage return"
        case .missingHost: "Host is missing"
        case .repeatedHost: "Host is there more than once"
        case .invalidHost: "Host is no valid host and port"
        case .connectionOptions: "Connection is malformed or names a field that must be passed on"
        case .expectation: "the expectation is not known"
        case .contentLength: "Content-Length is no decimal number that fits"
        case .repeatedContentLength: "Content-Length is there more than once"
        case .contentLengthAndTransferEncoding: "Content-Length and Transfer-Encoding are both there"
        case .transferEncoding: "chunked is not the final transfer coding"
        case .unknownTransferCoding: "a transfer coding is not known"
        case .transferEncodingInVersion10: "HTTP/1.0 has no Transfer-Encoding"
        case .bodyNotAllowed: "the status does not allow a body, but one is announced"
        case .unaskedUpgrade: "the protocol was switched without being asked to"
        case .chunkSize: "a chunk size is no hexadecimal number that fits"
        case .chunkExtension: "a chunk extension is malformed or too long"
        case .chunkEnd: "a chunk does not end with a line end"
        case .trailers: "the trailer section holds a field that is not allowed there"
        case .bodyTooLarge: "the body is too large"
        case .truncated: "the connection ended before the message did"
        case .path: "the path holds a malformed or forbidden percent-encoding"
        case .pathEscapesRoot: "the path leads above its root"
        case .ambiguousPath: "the path holds a dot segment that others may read differently"
        }
    }
}
