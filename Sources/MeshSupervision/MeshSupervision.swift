// MeshSupervision
