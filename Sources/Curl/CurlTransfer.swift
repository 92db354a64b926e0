import CCurl
import CCurlShims

/// Whether a stream goes on.
package enum CurlFlow: Sendable {
    case goOn
    /// Ends the request without an error; its connection is closed.
    case stop
}

/// What libcurl's callbacks collect while one request runs, on the thread that runs it.
final class CurlTransfer {
    /// Where a final head's body goes: nil collects it.
    typealias Sink = (UnsafeRawBufferPointer) -> CurlFlow

    private(set) var status = 0
    private(set) var version = ""
    private(set) var headers: [CurlHeader] = []
    private(set) var trailers: [CurlHeader] = []
    private(set) var informational: [CurlInformational] = []
    private(set) var body: [UInt8] = []
    private(set) var wasStopped = false
    private(set) var isTooLarge = false

    private var headIsOver = false
    private let bodyLimit: Int
    private let upload: (@Sendable (Int) -> [UInt8]?)?
    private var uploadRest: ArraySlice<UInt8> = []
    /// Decides with the final head where the body goes.
    private let makeSink: (_ status: Int, _ headers: [CurlHeader]) -> Sink?
    private var sink: Sink?

    init(
        bodyLimit: Int, upload: (@Sendable (Int) -> [UInt8]?)?, makeSink: @escaping (_ status: Int, _ headers: [CurlHeader]) -> Sink?
    ) {
        self.bodyLimit = bodyLimit
        self.upload = upload
        self.makeSink = makeSink
    }

    /// One line of a head or of the trailers; heads begin with a status line and end with an empty one.
    func headerLine(_ bytes: UnsafeRawBufferPointer) {
        var line = bytes[...]
        while let last = line.last, last == 0x0d || last == 0x0a { line = line.dropLast() }
        if headIsOver, status >= 200, !line.starts(with: Array("HTTP/".utf8)) {
            if let field = Self.field(line) { trailers.append(field) }
            return
        }
        if line.starts(with: Array("HTTP/".utf8)) {
            let parts = line.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: true)
            version = parts.first.map { String(decoding: $0, as: UTF8.self) } ?? ""
            status = parts.count > 1 ? Int(String(decoding: parts[1], as: UTF8.self)) ?? 0 : 0
            headers = []
            headIsOver = false
        } else if line.isEmpty {
            headIsOver = true
            if status < 200 {
                informational.append(CurlInformational(status: status, headers: headers))
            } else {
                sink = makeSink(status, headers)
            }
        } else if let field = Self.field(line) {
            headers.append(field)
        }
    }

    private static func field(_ line: Slice<UnsafeRawBufferPointer>) -> CurlHeader? {
        guard let colon = line.firstIndex(of: 0x3a) else { return nil }
        var value = line[line.index(after: colon)...]
        while let first = value.first, first == 0x20 || first == 0x09 { value = value.dropFirst() }
        while let last = value.last, last == 0x20 || last == 0x09 { value = value.dropLast() }
        return CurlHeader(String(decoding: line[..<colon], as: UTF8.self), String(decoding: value, as: UTF8.self))
    }

    /// - Returns: false to end the transfer.
    func bodyPiece(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if let sink {
            guard sink(bytes) == .goOn else {
                wasStopped = true
                return false
            }
            return true
        }
        guard body.count + bytes.count <= bodyLimit else {
            isTooLarge = true
            return false
        }
        body.append(contentsOf: bytes)
        return true
    }

    func fillUpload(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        while uploadRest.isEmpty {
            guard let next = upload?(buffer.count) else { return 0 }
            uploadRest = next[...]
        }
        let piece = uploadRest.prefix(buffer.count)
        buffer.copyBytes(from: piece)
        uploadRest = uploadRest.dropFirst(piece.count)
        return piece.count
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> CurlTransfer? {
        context.map { Unmanaged<CurlTransfer>.fromOpaque($0).takeUnretainedValue() }
    }

    /// Makes libcurl call this object; valid until `curl_easy_reset`.
    func install(on handle: CurlHandle) {
        let context = UnsafeRawPointer(Unmanaged.passUnretained(self).toOpaque())
        _ = mesh_curl_set_bytes_function(handle.easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
            CurlTransfer.of(context)?.headerLine(UnsafeRawBufferPointer(start: bytes, count: size * count))
            return size * count
        }
        _ = mesh_curl_set_pointer(handle.easy, CURLOPT_HEADERDATA, context)
        _ = mesh_curl_set_bytes_function(handle.easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            let goesOn = CurlTransfer.of(context)?.bodyPiece(UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? false
            return goesOn ? size * count : Int.max
        }
        _ = mesh_curl_set_pointer(handle.easy, CURLOPT_WRITEDATA, context)
        if upload != nil {
            _ = mesh_curl_set_bytes_function(handle.easy, CURLOPT_READFUNCTION) { bytes, size, count, context in
                CurlTransfer.of(context)?.fillUpload(UnsafeMutableRawBufferPointer(start: bytes, count: size * count)) ?? 0
            }
            _ = mesh_curl_set_pointer(handle.easy, CURLOPT_READDATA, context)
        }
    }
}
