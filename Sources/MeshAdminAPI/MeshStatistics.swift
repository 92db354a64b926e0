/// What `GET /v1/statistics` answers: counts since the daemon's start.
package struct MeshStatistics: Hashable, Sendable, Codable {
    package var spansReceived: UInt64
    package var spansStored: UInt64
    /// Lost in an instance: its ring was full, or the daemon was away.
    package var spansDroppedByInstances: UInt64
    /// Lost in the daemon: its queue was full, or the disk refused them.
    package var spansDroppedByStore: UInt64
    package var tracesStored: UInt64
    package var traceStoreBytes: UInt64
    /// Instances whose control connection stands.
    package var instancesConnected: Int
    /// The last thing that the trace store complained of, e.g. that the disk is full.
    package var traceStoreError: String?

    package init(
        spansReceived: UInt64 = 0, spansStored: UInt64 = 0, spansDroppedByInstances: UInt64 = 0, spansDroppedByStore: UInt64 = 0,
        tracesStored: UInt64 = 0, traceStoreBytes: UInt64 = 0, instancesConnected: Int = 0, traceStoreError: String? = nil
    ) {
        self.spansReceived = spansReceived
        self.spansStored = spansStored
        self.spansDroppedByInstances = spansDroppedByInstances
        self.spansDroppedByStore = spansDroppedByStore
        self.tracesStored = tracesStored
        self.traceStoreBytes = traceStoreBytes
        self.instancesConnected = instancesConnected
        self.traceStoreError = traceStoreError
    }

    private enum CodingKeys: String, CodingKey {
        case spansReceived = "spans_received"
        case spansStored = "spans_stored"
        case spansDroppedByInstances = "spans_dropped_by_instances"
        case spansDroppedByStore = "spans_dropped_by_store"
        case tracesStored = "traces_stored"
        case traceStoreBytes = "trace_store_bytes"
        case instancesConnected = "instances_connected"
        case traceStoreError = "trace_store_error"
    }
}
