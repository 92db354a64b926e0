// MeshSupervisionTests
