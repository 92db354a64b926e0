import MeshSidecar

// Passes every request on to the one service in its `calls:`, so that chains of any depth can be built of it.
await Sidecar.program { sidecar in
    sidecar.forwardEverything()
}
