// MeshPolicyTests
