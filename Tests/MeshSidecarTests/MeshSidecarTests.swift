// MeshSidecarTests
