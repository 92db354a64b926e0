// MeshTransport
