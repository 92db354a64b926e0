// MeshAdminAPI
