// MeshControlProtocolTests
