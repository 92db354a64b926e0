package import MeshModel
package import Metrics
import Synchronization

/// The backend of swift-metrics by which an application's measurements join those of the mesh.
///
/// A measurement is made once, under a lock, and recorded to many times without one. The number of series is bounded: what comes
/// over it is taken and not told, and counted in `mesh_metric_series_dropped_total`.
package final class MeshMetrics: MetricsFactory, Sendable {
    package static let mostSeries = 4096

    private enum Cell {
        case counter(CounterCell)
        case gauge(GaugeCell)
        case histogram(HistogramCell)
    }

    private struct Series {
        var label: String
        var dimensions: [MetricLabel]
        var cell: Cell
    }

    private struct Key: Hashable {
        var kind: MetricFamily.Kind
        var label: String
        var dimensions: [MetricLabel]
    }

    private struct State {
        var series: [Key: Series] = [:]
        var order: [Key] = []
        var dropped: UInt64 = 0
    }

    private let state = Guarded(State())

    package init() {}

    // MARK: What swift-metrics asks for

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler { counter(label, dimensions) }

    package func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler {
        counter(label, dimensions)
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler { gauge(label, dimensions) }

    package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        aggregate ? histogram(label, dimensions, HistogramCell.amounts) : gauge(label, dimensions)
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        histogram(label.hasSuffix("seconds") ? label : label + "_seconds", dimensions, HistogramCell.seconds)
    }

    /// They are few, and asked for again under the same name: kept.
    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}

    private func counter(_ label: String, _ dimensions: [(String, String)]) -> CounterCell {
        let cell = series(.counter, label, dimensions) { .counter(CounterCell()) }
        if case .counter(let cell) = cell { return cell }
        preconditionFailure("a series keeps its kind")
    }

    private func gauge(_ label: String, _ dimensions: [(String, String)]) -> GaugeCell {
        let cell = series(.gauge, label, dimensions) { .gauge(GaugeCell()) }
        if case .gauge(let cell) = cell { return cell }
        preconditionFailure("a series keeps its kind")
    }

    private func histogram(_ label: String, _ dimensions: [(String, String)], _ bounds: [Double]) -> HistogramCell {
        let cell = series(.histogram, label, dimensions) { .histogram(HistogramCell(bounds: bounds)) }
        if case .histogram(let cell) = cell { return cell }
        preconditionFailure("a series keeps its kind")
    }

    private func series(_ kind: MetricFamily.Kind, _ label: String, _ dimensions: [(String, String)], _ make: () -> Cell) -> Cell {
        let labels = dimensions.map { MetricLabel(PrometheusText.name($0.0), $0.1) }
        let key = Key(kind: kind, label: label, dimensions: labels)
        return state.withLock { state in
            if let known = state.series[key] { return known.cell }
            let cell = make()
            guard state.series.count < Self.mostSeries else {
                state.dropped += 1
                return cell
            }
            state.series[key] = Series(label: label, dimensions: labels, cell: cell)
            state.order.append(key)
            return cell
        }
    }

    // MARK: What is told

    /// Everything recorded so far, in the order of its first mention.
    package var families: [MetricFamily] {
        let (series, dropped) = state.withLock { state in (state.order.compactMap { state.series[$0] }, state.dropped) }
        var families = series.map { series -> MetricFamily in
            let name = PrometheusText.name(series.label)
            switch series.cell {
            case .counter(let cell):
                return MetricFamily(
                    name.hasSuffix("_total") ? name : name + "_total", .counter, help: series.label,
                    samples: [MetricSample(cell.value, labels: series.dimensions)])
            case .gauge(let cell):
                return MetricFamily(name, .gauge, help: series.label, samples: [MetricSample(cell.value, labels: series.dimensions)])
            case .histogram(let cell):
                var sample = cell.sample
                sample.labels = series.dimensions
                return MetricFamily(name, .histogram, help: series.label, samples: [sample])
            }
        }
        if dropped > 0 {
            families.append(
                MetricFamily(
                    "mesh_metric_series_dropped_total", .counter, help: "Series that were refused, since there were too many.",
                    samples: [MetricSample(Double(dropped))]))
        }
        return MetricFamily.merged(families)
    }
}
