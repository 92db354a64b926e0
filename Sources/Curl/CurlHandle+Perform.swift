import CCurl
import CCurlShims

extension CurlHandle {
    /// Runs one request to its end on the calling thread.
    func perform(
        _ request: CurlRequest, isCancelled: () -> Bool,
        makeSink: @escaping (_ status: Int, _ headers: [CurlHeader]) -> CurlTransfer.Sink?
    ) throws(CurlError) -> CurlResponse {
        var upload: (@Sendable (Int) -> [UInt8]?)?
        if case .stream(let next) = request.body { upload = next }
        let transfer = CurlTransfer(bodyLimit: request.bodyLimit, upload: upload, makeSink: makeSink)
        let errorText = UnsafeMutableBufferPointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0)
        let headers = Self.list(Self.headerLines(of: request))
        let resolve = Self.list(request.resolve)
        // The next request begins with a clean handle, and nothing of this one's memory is named by it any more.
        defer {
            curl_easy_reset(easy)
            curl_slist_free_all(headers)
            curl_slist_free_all(resolve)
            errorText.deallocate()
        }
        configure(for: request)
        transfer.install(on: self)
        _ = mesh_curl_set_pointer(easy, CURLOPT_ERRORBUFFER, errorText.baseAddress)
        _ = mesh_curl_set_list(easy, CURLOPT_HTTPHEADER, headers)
        if resolve != nil { _ = mesh_curl_set_list(easy, CURLOPT_RESOLVE, resolve) }

        let code = run(isCancelled: isCancelled)
        let phases = self.phases
        let status = transfer.status >= 200 ? transfer.status : nil
        guard let code else {
            throw CurlError(kind: .cancelled, code: 0, message: "cancelled", phases: phases, status: status)
        }
        guard code == CURLE_OK || (code == CURLE_WRITE_ERROR && transfer.wasStopped) else {
            if transfer.isTooLarge {
                throw CurlError(
                    kind: .bodyTooLarge, code: 0, message: "the answer is larger than \(request.bodyLimit) bytes", phases: phases,
                    status: status)
            }
            let said = errorText.baseAddress.map { String(cString: $0) } ?? ""
            throw CurlError(
                kind: CurlError.Kind(code), code: Int(code.rawValue),
                message: said.isEmpty ? String(cString: curl_easy_strerror(code)) : said, phases: phases, status: status)
        }
        return CurlResponse(
            status: transfer.status, version: transfer.version, headers: transfer.headers, trailers: transfer.trailers,
            informational: transfer.informational, body: transfer.body, phases: phases,
            connection: CurlConnection(
                wasReused: long(CURLINFO_NUM_CONNECTS) == 0, remoteAddress: string(CURLINFO_PRIMARY_IP),
                remotePort: long(CURLINFO_PRIMARY_PORT), localPort: long(CURLINFO_LOCAL_PORT)))
    }

    /// Drives the transfer until it is done; nil when it was cancelled.
    private func run(isCancelled: () -> Bool) -> CURLcode? {
        curl_multi_add_handle(multi, easy)
        defer { curl_multi_remove_handle(multi, easy) }
        while true {
            if isCancelled() { return nil }
            var running: Int32 = 0
            let state = curl_multi_perform(multi, &running)
            guard state == CURLM_OK else { return CURLE_FAILED_INIT }
            var result = CURLE_OK
            if mesh_curl_take_done(multi, &result) != 0 { return result }
            // Returns early for sockets, libcurl's own timers, and a wake-up; the bound only guards against a lost one.
            curl_multi_poll(multi, nil, 0, 1_000, nil)
        }
    }

    private func configure(for request: CurlRequest) {
        set(CURLOPT_URL, request.url)
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_PATH_AS_IS, 1)
        set(CURLOPT_PROXY, "")
        set(CURLOPT_NOPROXY, "*")
        _ = mesh_curl_allow_http_only(easy)
        set(CURLOPT_TCP_NODELAY, 1)
        if let socket = request.unixSocket { set(CURLOPT_UNIX_SOCKET_PATH, socket) }
        set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds: request.connectTimeout)
        if let timeout = request.timeout { set(CURLOPT_TIMEOUT_MS, milliseconds: timeout) }
        if !request.reusesConnection { set(CURLOPT_FRESH_CONNECT, 1) }
        if !request.keepsConnection { set(CURLOPT_FORBID_REUSE, 1) }
        if !request.tls.verifiesPeer {
            set(CURLOPT_SSL_VERIFYPEER, 0)
            set(CURLOPT_SSL_VERIFYHOST, 0)
        }
        if let authorities = request.tls.authorities { set(CURLOPT_CAINFO, authorities) }
        let version: Int =
            switch request.version {
            case .automatic: Int(CURL_HTTP_VERSION_NONE)
            case .http10: Int(CURL_HTTP_VERSION_1_0)
            case .http11: Int(CURL_HTTP_VERSION_1_1)
            case .http2: Int(CURL_HTTP_VERSION_2TLS)
            case .http2PriorKnowledge: Int(CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE)
            }
        set(CURLOPT_HTTP_VERSION, version)
        configureBody(of: request)
    }

    private func configureBody(of request: CurlRequest) {
        switch request.body {
        case .none where request.method == "HEAD":
            set(CURLOPT_NOBODY, 1)
        case .none where ["POST", "PUT", "PATCH"].contains(request.method):
            // Says `Content-Length: 0`, as RFC 9110 8.6 asks of methods that expect a body.
            set(CURLOPT_POST, 1)
            _ = mesh_curl_set_offset(easy, CURLOPT_POSTFIELDSIZE_LARGE, 0)
            set(CURLOPT_COPYPOSTFIELDS, "")
        case .none:
            set(CURLOPT_HTTPGET, 1)
        case .bytes(let bytes):
            set(CURLOPT_POST, 1)
            _ = mesh_curl_set_offset(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(bytes.count))
            // The terminator keeps an empty body from being taken for none.
            (bytes + [0]).withUnsafeBytes { _ = mesh_curl_set_pointer(easy, CURLOPT_COPYPOSTFIELDS, $0.baseAddress) }
        case .stream:
            set(CURLOPT_UPLOAD, 1)
        }
        if request.method != "HEAD" { set(CURLOPT_CUSTOMREQUEST, request.method) }
    }

    /// The fields to send, and those that libcurl would add by itself, taken away (`Name:`).
    private static func headerLines(of request: CurlRequest) -> [String] {
        var lines = request.headers.map { $0.value.isEmpty ? "\($0.name);" : "\($0.name): \($0.value)" }
        for name in ["Content-Type", "Expect"] where request.headers[name] == nil { lines.append("\(name):") }
        return lines
    }

    private static func list(_ lines: [String]) -> UnsafeMutablePointer<curl_slist>? {
        var list: UnsafeMutablePointer<curl_slist>?
        for line in lines { list = curl_slist_append(list, line) }
        return list
    }
}
