// MeshExchangeTests
