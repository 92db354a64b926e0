// MeshConfigurationTests
