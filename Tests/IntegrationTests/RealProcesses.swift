import Testing

/// Tests that run whole meshes of real processes: one after the other, so that what they measure is the mesh and not the others.
@Suite(.serialized) struct RealProcesses {}
