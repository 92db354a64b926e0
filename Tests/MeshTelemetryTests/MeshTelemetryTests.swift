// MeshTelemetryTests
