// MeshRegistry
