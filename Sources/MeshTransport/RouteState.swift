internal import MeshExchange

/// What a call's route has decided for it, besides where it goes.
struct RouteState {
    private(set) var route: Route?
    /// Lines for the head of the answer, whoever makes it: cross-origin, rate limit, cookie.
    var responseLines: [UInt8] = []
    /// Fields of the upstream's answer that `responseLines` speak for.
    var replacesCrossOriginFields = false
    /// Where a copy of the request goes.
    var mirror: Destination?
    /// It is a copy itself.
    var isMirror = false
    var affinity: UInt64?

    mutating func reset() {
        guard route != nil || isMirror || !responseLines.isEmpty else { return }
        self = RouteState()
    }

    mutating func matched(_ route: Route) { self.route = route }

    var requestEdits: HeaderEdits? { route?.requestEdits }
    var responseEdits: HeaderEdits? { route?.responseEdits }

    /// No less than the bytes that are added to the head of a request.
    var requestRoom: Int { route == nil ? 64 : 64 + (route?.requestEdits?.lines.count ?? 0) }
    var responseRoom: Int { responseLines.count + (responseEdits?.lines.count ?? 0) }
}
