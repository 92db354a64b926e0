// MeshTransportTests
