import CCurl
import CCurlShims

/// One easy handle and the multi handle that drives it and keeps its connections.
///
/// Invariant: used by one thread at a time, the one that took it out of its client's pool; only `curl_multi_wakeup` is called by others,
/// which libcurl allows. That is what makes it Sendable.
struct CurlHandle: @unchecked Sendable {
    let easy: UnsafeMutableRawPointer
    let multi: UnsafeMutableRawPointer

    private static let isReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    init() throws(CurlError) {
        guard Self.isReady, let easy = curl_easy_init(), let multi = curl_multi_init() else {
            throw CurlError(
                kind: .other, code: Int(CURLE_FAILED_INIT.rawValue), message: "libcurl cannot be initialised", phases: CurlPhases())
        }
        self.easy = easy
        self.multi = multi
        _ = mesh_curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, 4)
    }

    func free() {
        curl_easy_cleanup(easy)
        curl_multi_cleanup(multi)
    }

    func set(_ option: CURLoption, _ value: Int) { _ = mesh_curl_set_long(easy, option, value) }
    func set(_ option: CURLoption, _ value: String) { _ = mesh_curl_set_string(easy, option, value) }
    func set(_ option: CURLoption, milliseconds: Duration) {
        let parts = milliseconds.components
        let value = parts.seconds * 1_000 + parts.attoseconds / 1_000_000_000_000_000
        _ = mesh_curl_set_long(easy, option, Int(max(1, value)))
    }

    func long(_ info: CURLINFO) -> Int {
        var value = 0
        _ = mesh_curl_get_long(easy, info, &value)
        return value
    }

    func duration(_ info: CURLINFO) -> Duration {
        var microseconds: curl_off_t = 0
        _ = mesh_curl_get_offset(easy, info, &microseconds)
        return .microseconds(Int64(microseconds))
    }

    func string(_ info: CURLINFO) -> String {
        var value: UnsafePointer<CChar>?
        _ = mesh_curl_get_string(easy, info, &value)
        return value.map { String(cString: $0) } ?? ""
    }

    var phases: CurlPhases {
        CurlPhases(
            nameLookedUp: duration(CURLINFO_NAMELOOKUP_TIME_T), connected: duration(CURLINFO_CONNECT_TIME_T),
            secured: duration(CURLINFO_APPCONNECT_TIME_T), requestBegan: duration(CURLINFO_PRETRANSFER_TIME_T),
            firstByte: duration(CURLINFO_STARTTRANSFER_TIME_T), ended: duration(CURLINFO_TOTAL_TIME_T))
    }
}
