// MeshControlProtocol
