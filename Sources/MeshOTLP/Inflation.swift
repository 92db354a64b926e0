internal import CZlib

/// A body of `Content-Encoding: gzip`, made readable.
package enum Inflation {
    package enum Failure: Error, Hashable, CustomStringConvertible {
        /// What comes out is more than is allowed.
        case tooLong(limit: Int)
        case damaged

        package var description: String {
            switch self {
            case .tooLong(let limit): "the body is over \(limit) bytes once it is inflated"
            case .damaged: "the body is no gzip data"
            }
        }
    }

    /// - Parameter limit: bytes that may come out at most, so that a small body can't fill memory.
    package static func gunzip(_ bytes: [UInt8], limit: Int) throws(Failure) -> [UInt8] {
        var stream = z_stream()
        // 16: a gzip header and trailer are wanted.
        guard inflateInit2_(&stream, MAX_WBITS + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { throw .damaged }
        defer { inflateEnd(&stream) }
        var result: [UInt8] = []
        var input = bytes
        let failure: Failure? = input.withUnsafeMutableBufferPointer { source in
            stream.next_in = source.baseAddress
            stream.avail_in = uInt(source.count)
            var piece = [UInt8](repeating: 0, count: 64 << 10)
            while true {
                let (status, produced) = piece.withUnsafeMutableBufferPointer { target in
                    stream.next_out = target.baseAddress
                    stream.avail_out = uInt(target.count)
                    let status = inflate(&stream, Z_NO_FLUSH)
                    return (status, target.count - Int(stream.avail_out))
                }
                guard status == Z_OK || status == Z_STREAM_END else { return .damaged }
                guard result.count + produced <= limit else { return .tooLong(limit: limit) }
                result.append(contentsOf: piece[..<produced])
                if status == Z_STREAM_END { return nil }
                // Neither end nor progress: the data ends too early.
                if produced == 0, stream.avail_in == 0 { return .damaged }
            }
        }
        if let failure { throw failure }
        return result
    }
}
