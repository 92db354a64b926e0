internal import Foundation
internal import SwiftProtobuf

/// The two forms in which OTLP/HTTP is spoken.
package enum OTLPForm: String, Hashable, Sendable {
    case protobuf = "application/x-protobuf"
    case json = "application/json"

    /// By the media type of `Content-Type`, whatever its parameters.
    package init?(contentType: String) {
        let type = contentType.prefix { $0 != ";" }.trimmingCharacters(in: .whitespaces).lowercased()
        self.init(rawValue: type)
    }
}

/// Why a body is no request of OTLP.
package struct OTLPMalformed: Error, CustomStringConvertible {
    package let description: String
}

extension OTLPExportTraceServiceRequest {
    package init(_ body: [UInt8], form: OTLPForm) throws(OTLPMalformed) {
        do {
            switch form {
            case .protobuf: self = try Self(serializedBytes: body)
            case .json:
                var options = JSONDecodingOptions()
                options.ignoreUnknownFields = true
                self = try Self(jsonUTF8Data: Data(body), options: options)
                readIdentifiersAsHexadecimal()
            }
        } catch {
            throw OTLPMalformed(description: "\(error)")
        }
    }

    package func serialized() -> [UInt8] { (try? serializedBytes()) ?? [] }

    /// In JSON, OTLP writes ids in hexadecimal digits, where protobuf's own form has base64.
    ///
    /// All those digits are digits of base64 as well, and both lengths, 32 and 16, are whole groups of it: what was read as base64 gives the
    /// digits back when it is written so.
    private mutating func readIdentifiersAsHexadecimal() {
        for resource in resourceSpans.indices {
            for scope in resourceSpans[resource].scopeSpans.indices {
                for span in resourceSpans[resource].scopeSpans[scope].spans.indices {
                    resourceSpans[resource].scopeSpans[scope].spans[span].readIdentifiersAsHexadecimal()
                }
            }
        }
    }
}

extension OTLPSpan {
    fileprivate mutating func readIdentifiersAsHexadecimal() {
        traceID = traceID.hexadecimal
        spanID = spanID.hexadecimal
        parentSpanID = parentSpanID.hexadecimal
        for index in links.indices {
            links[index].traceID = links[index].traceID.hexadecimal
            links[index].spanID = links[index].spanID.hexadecimal
        }
    }
}

extension Data {
    /// What the digits mean of which this was read as base64; empty where they are none.
    fileprivate var hexadecimal: Data {
        let digits = Array(base64EncodedString().utf8)
        var result = Data()
        for index in stride(from: 0, to: digits.count - 1, by: 2) {
            guard let byte = UInt8(String(decoding: digits[index...(index + 1)], as: UTF8.self), radix: 16) else { return Data() }
            result.append(byte)
        }
        return result
    }
}

extension OTLPExportTraceServiceResponse {
    /// - Parameter rejected: spans that were refused; `reason` says why.
    package init(rejected: Int, reason: String?) {
        self.init()
        guard rejected > 0 else { return }
        partialSuccess.rejectedSpans = Int64(rejected)
        partialSuccess.errorMessage = reason ?? ""
    }

    /// Reads what a collector answered; nil for what is no answer of OTLP.
    package init?(answer body: [UInt8]) {
        guard let read = try? Self(serializedBytes: body) else { return nil }
        self = read
    }

    package func serialized(_ form: OTLPForm) -> [UInt8] {
        switch form {
        case .protobuf: (try? serializedBytes()) ?? []
        case .json: (try? Array(jsonUTF8Data())) ?? Array("{}".utf8)
        }
    }
}
