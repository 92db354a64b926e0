// MeshTerminalTests
