import MeshSidecar

// Answers what it got, for any method and path, with a few paths of its own as httpbin has them.
await Sidecar.run { request, _ in
    if request.path == "/", request.method == .get { return Echo.greeting }
    switch (request.path, request.pathComponents.count) {
    case ("/slow", _): return try await Echo.slow(request)
    case (_, 2) where request.pathComponents[0] == "status": return try Echo.status(request.pathComponents[1])
    case (_, 2) where request.pathComponents[0] == "bytes": return try Echo.bytes(request.pathComponents[1])
    case (Sidecar.healthPath, _): return .text("ok\n")
    default: return try await .json(Echo(of: request))
    }
}
