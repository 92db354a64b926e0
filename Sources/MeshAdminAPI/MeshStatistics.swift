/// What `GET /v1/statistics` answers: counts since the daemon's start.
package struct MeshStatistics: Hashable, Sendable, Codable {
    package var spansReceived: UInt64
    /// Of traces that `traces.keep` does not keep.
    package var spansNotKept: UInt64
    /// Of requests that have not ended.
    package var spansHeld: UInt64
    /// Requests that instances work on at this moment, each counted once in every tier that it has reached.
    package var requestsOpen: Int
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
    /// Where spans of other programs are taken in.
    package var otlpAddress: String?
    /// Counted once for every collector of `traces.export`.
    package var spansExported: UInt64
    package var spansDroppedByExport: UInt64
    /// What else does not go as mesh.yaml says: a collector that is away, an address that is taken.
    package var traceProblems: [String]

    package init(
        spansReceived: UInt64 = 0, spansNotKept: UInt64 = 0, spansHeld: UInt64 = 0, requestsOpen: Int = 0, spansStored: UInt64 = 0,
        spansDroppedByInstances: UInt64 = 0, spansDroppedByStore: UInt64 = 0,
        tracesStored: UInt64 = 0, traceStoreBytes: UInt64 = 0, instancesConnected: Int = 0, traceStoreError: String? = nil,
        otlpAddress: String? = nil, spansExported: UInt64 = 0,
        spansDroppedByExport: UInt64 = 0, traceProblems: [String] = []
    ) {
        self.spansReceived = spansReceived
        self.spansNotKept = spansNotKept
        self.spansHeld = spansHeld
        self.requestsOpen = requestsOpen
        self.spansStored = spansStored
        self.spansDroppedByInstances = spansDroppedByInstances
        self.spansDroppedByStore = spansDroppedByStore
        self.tracesStored = tracesStored
        self.traceStoreBytes = traceStoreBytes
        self.instancesConnected = instancesConnected
        self.traceStoreError = traceStoreError
        self.otlpAddress = otlpAddress
        self.spansExported = spansExported
        self.spansDroppedByExport = spansDroppedByExport
        self.traceProblems = traceProblems
    }

    private enum CodingKeys: String, CodingKey {
        case spansReceived = "spans_received"
        case spansNotKept = "spans_not_kept"
        case spansHeld = "spans_held"
        case requestsOpen = "requests_open"
        case spansStored = "spans_stored"
        case spansDroppedByInstances = "spans_dropped_by_instances"
        case spansDroppedByStore = "spans_dropped_by_store"
        case tracesStored = "traces_stored"
        case traceStoreBytes = "trace_store_bytes"
        case instancesConnected = "instances_connected"
        case traceStoreError = "trace_store_error"
        case otlpAddress = "otlp_address"
        case spansExported = "spans_exported"
        case spansDroppedByExport = "spans_dropped_by_export"
        case traceProblems = "trace_problems"
    }
}
