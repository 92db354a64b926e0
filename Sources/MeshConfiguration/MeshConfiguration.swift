// MeshConfiguration
