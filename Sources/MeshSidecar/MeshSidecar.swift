// MeshSidecar
