// MeshModelTests
