// What a service's author writes in nearly every file, so that `import MeshSidecar` is enough: methods, statuses and header
// fields; `Logger`; `Service`; `withSpan`.
@_exported public import HTTPTypes
@_exported public import Logging
@_exported public import ServiceLifecycle
@_exported public import Tracing
