// Fuzzes what is read from services; see scripts/fuzz.

@_cdecl("LLVMFuzzerTestOneInput")
public func readResponses(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    if let fault = CodecChecks.responses(Array(UnsafeBufferPointer(start: start, count: count))) { fatalError(fault) }
    return 0
}
