// MeshTerminal
