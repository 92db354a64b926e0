internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import MeshPolicy
internal import MeshTelemetry
internal import NIOCore

extension ResponseFacts {
    /// What the head in `call.response` says to the exchange. A `url:` service is not asked what the mesh should do.
    init(of call: ForwardedCall) {
        self.init(status: Int(call.response.status))
        let present = call.response.fields.present
        guard !present.intersection([.retryAfter, .meshRetry, .meshOverload, .meshCreditSpent, .grpcStatus, .grpcRetryPushback]).isEmpty
        else { return }
        let isOurs = call.destination?.isExternal == false
        call.responseBytes.withUnsafeReadableBytes { bytes in
            if let field = call.response.fields.only(.retryAfter) {
                retryAfter = FieldValue.retryAfter(bytes[field.value], now: HostClock.wall())
            }
            if isOurs, let field = call.response.fields.first(.meshRetry) {
                meshRetryNo = bytes[field.value].equalsIgnoringCase("no")
            }
            if isOurs, let field = call.response.fields.first(.meshOverload) {
                let scope = bytes[field.value]
                overload = scope.equalsIgnoringCase("pool") ? .pool : scope.equalsIgnoringCase("host") ? .host : .none
            }
            if isOurs, let field = call.response.fields.first(.meshCreditSpent) {
                creditSpent = Int(min(FieldValue.decimal(bytes[field.value]) ?? .max, UInt64(RetryCredit.most)))
            }
            if let field = call.response.fields.only(.grpcStatus), let code = FieldValue.decimal(bytes[field.value]) {
                grpcStatus = Int(min(code, 1000))
            }
            if let field = call.response.fields.only(.grpcRetryPushback) {
                switch FieldValue.grpcRetryPushback(bytes[field.value]) {
                case .after(let span): retryAfter = span
                case .never: forbidsRetry = true
                }
            }
        }
    }
}
