/// The admin API that `meshd` offers on `control.sock` and `mesh` speaks: HTTP/1.1, JSON with snake_case keys.
///
/// | request | answer |
/// |---|---|
/// | `GET /v1/status` | `DaemonStatus` |
/// | `POST /v1/up` with `UpRequest` | JSON lines of `UpEvent`, until `finished` or `failed` |
/// | `POST /v1/plan` with `UpRequest` | `DeploymentPlanAnswer` |
/// | `POST /v1/changes` with `ChangeRequest` | as `POST /v1/up` |
/// | `POST /v1/down[?now=true]` | JSON lines of `DownEvent`, until `finished`; the daemon ends afterwards |
/// | `GET /v1/instances` | `[InstanceStatus]` |
/// | `GET /v1/top` | `TopReport` |
/// | `GET /v1/logs?service=&instance=&lines=&since=&trace=&crash=true&follow=true` | JSON lines of `LogLine`; with `follow` without an end |
/// | `GET /v1/traces?q=&since=&limit=` | `[TraceSummary]`, newest first; `since` is seconds back |
/// | `GET /v1/traces/search?q=&since=&limit=` | the same, each with the spans that were found |
/// | `GET /v1/traces/tail?q=` | JSON lines of `TraceTailEvent`, without an end |
/// | `GET /v1/traces/stats?q=&since=` | `TraceStatisticsReport` |
/// | `GET /v1/traces/path?q=&since=` | `TracePathReport` |
/// | `GET /v1/traces/compare?q=&with=&since=` | `TraceComparisonReport` |
/// | `GET /v1/traces/export?id=&q=&since=&limit=&format=otlp` | the traces in the form of another tool |
/// | `POST /v1/traces/import` with OTLP JSON | `TraceImportReport` |
/// | `GET /v1/traces/{id, unique prefix or "last"}?deskew=true` | `TraceDetail` |
/// | `GET /v1/statistics` | `MeshStatistics` |
/// | `GET /v1/edges` | `[EdgeStatus]` |
/// | `GET /v1/edges/{from}/{to}` | `EdgeExplanation` |
/// | `GET /v1/services` | `[ServiceSignals]` |
/// | `GET /v1/faults`, `POST` with `FaultRequest`, `DELETE ?from=&to=` | `[FaultStatus]` |
/// | `GET /v1/metrics` | Prometheus text |
///
/// Anything else than a 2xx carries a `Problem` (`application/problem+json`).
package enum AdminAPI {
    /// Raised when a change would make an older `mesh` misread the answers; more fields never raise it.
    package static let protocolVersion = 1

    /// The version that `mesh --version` prints and `DaemonStatus` carries.
    package static let releaseVersion = "0.1.0"

    package static let jsonType = "application/json"
    package static let jsonLinesType = "application/jsonl"
    package static let problemType = "application/problem+json"

    package enum Path {
        package static let status = "/v1/status"
        package static let up = "/v1/up"
        package static let plan = "/v1/plan"
        package static let changes = "/v1/changes"
        package static let down = "/v1/down"
        package static let instances = "/v1/instances"
        package static let top = "/v1/top"
        package static let logs = "/v1/logs"
        package static let traces = "/v1/traces"
        package static let traceSearch = "/v1/traces/search"
        package static let traceTail = "/v1/traces/tail"
        package static let traceStatistics = "/v1/traces/stats"
        package static let tracePath = "/v1/traces/path"
        package static let traceComparison = "/v1/traces/compare"
        package static let traceExport = "/v1/traces/export"
        package static let traceImport = "/v1/traces/import"
        package static let statistics = "/v1/statistics"
        package static let edges = "/v1/edges"
        package static let services = "/v1/services"
        package static let faults = "/v1/faults"
        package static let metrics = "/v1/metrics"
    }
}
