// MeshExchange
