// Fuzzes what is read from clients; see scripts/fuzz.

@_cdecl("LLVMFuzzerTestOneInput")
public func readRequests(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    if let fault = CodecChecks.requests(Array(UnsafeBufferPointer(start: start, count: count))) { fatalError(fault) }
    return 0
}
