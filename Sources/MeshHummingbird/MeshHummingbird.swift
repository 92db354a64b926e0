// MeshHummingbird
