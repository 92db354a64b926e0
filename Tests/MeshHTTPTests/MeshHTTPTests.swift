// MeshHTTPTests
