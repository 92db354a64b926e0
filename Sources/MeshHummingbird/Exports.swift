// So that `import MeshHummingbird` is enough for a service with a router.
@_exported public import Hummingbird
@_exported public import MeshSidecar
