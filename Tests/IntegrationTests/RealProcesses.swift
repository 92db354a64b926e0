import TestSupport
import Testing

/// Tests that run whole meshes of real processes: one after the other, so that what they measure is the mesh and not the others.
/// They block while they wait, which the threads that all tasks share are too few for.
@Suite(.serialized, .blocking) struct RealProcesses {}
