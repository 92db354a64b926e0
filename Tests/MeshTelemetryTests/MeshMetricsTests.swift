import Foundation
import MeshModel
import Metrics
import Testing

@testable import MeshTelemetry

@Suite("Metrics")
struct MeshMetricsTests {
    @Test("of an application are told as Prometheus reads them")
    func text() {
        let metrics = MeshMetrics()
        Counter(label: "orders.placed", dimensions: [("kind", "a \"b\"\\\n")], factory: metrics).increment(by: 3)
        Counter(label: "orders.placed", dimensions: [("kind", "c")], factory: metrics).increment()
        Gauge(label: "queue-length", factory: metrics).record(7)
        Meter(label: "9lives", factory: metrics).set(1.5)
        let timer = Metrics.Timer(label: "checkout", factory: metrics)
        timer.recordNanoseconds(3_000_000)
        timer.recordNanoseconds(300_000_000)
        timer.recordNanoseconds(60_000_000_000)
        #expect(
            PrometheusText.render(metrics.families) == """
                # HELP orders_placed_total orders.placed
                # TYPE orders_placed_total counter
                orders_placed_total{kind="a \\"b\\"\\\\\\n"} 3
                orders_placed_total{kind="c"} 1
                # HELP queue_length queue-length
                # TYPE queue_length gauge
                queue_length 7
                # HELP _9lives 9lives
                # TYPE _9lives gauge
                _9lives 1.5
                # HELP checkout_seconds checkout_seconds
                # TYPE checkout_seconds histogram
                checkout_seconds_bucket{le="0.001"} 0
                checkout_seconds_bucket{le="0.0025"} 0
                checkout_seconds_bucket{le="0.005"} 1
                checkout_seconds_bucket{le="0.01"} 1
                checkout_seconds_bucket{le="0.025"} 1
                checkout_seconds_bucket{le="0.05"} 1
                checkout_seconds_bucket{le="0.1"} 1
                checkout_seconds_bucket{le="0.25"} 1
                checkout_seconds_bucket{le="0.5"} 2
                checkout_seconds_bucket{le="1"} 2
                checkout_seconds_bucket{le="2.5"} 2
                checkout_seconds_bucket{le="5"} 2
                checkout_seconds_bucket{le="10"} 2
                checkout_seconds_bucket{le="+Inf"} 3
                checkout_seconds_sum 60.303
                checkout_seconds_count 3

                """)
    }

    @Test("recorded by many threads at once lose nothing")
    func concurrent() async {
        let metrics = MeshMetrics()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let counter = Counter(label: "n", factory: metrics)
                    let recorder = Recorder(label: "r", factory: metrics)
                    for number in 0..<1000 {
                        counter.increment()
                        recorder.record(Int64(number))
                    }
                }
            }
        }
        let families = metrics.families
        #expect(families.first { $0.name == "n_total" }?.samples.first?.value == 8000)
        let histogram = families.first { $0.name == "r" }?.samples.first
        #expect(histogram?.count == 8000 && histogram?.value == 8 * 499_500)
        #expect(histogram?.buckets.first { $0.bound == 256 }?.count == 8 * 257)
    }

    @Test("are bounded in number, and what is refused is counted")
    func bounded() {
        let metrics = MeshMetrics()
        for number in 0..<MeshMetrics.mostSeries + 10 {
            Counter(label: "n", dimensions: [("id", String(number))], factory: metrics).increment()
        }
        let families = metrics.families
        #expect(families.first { $0.name == "n_total" }?.samples.count == MeshMetrics.mostSeries)
        #expect(families.first { $0.name == "mesh_metric_series_dropped_total" }?.samples.first?.value == 10)
    }

    @Test("of several instances are one family each, as the format wants it")
    func merged() throws {
        func family(_ instance: String) -> MetricFamily {
            MetricFamily("n_total", .counter, help: "n", samples: [MetricSample(1, labels: [MetricLabel("instance", "own")])])
                .labelled([MetricLabel("instance", instance)])
        }
        let other = MetricFamily("m", .gauge, help: "m", samples: [MetricSample(.infinity), MetricSample(-.infinity), MetricSample(.nan)])
        #expect(
            PrometheusText.render([family("a"), other, family("b")]) == """
                # HELP n_total n
                # TYPE n_total counter
                n_total{instance="a"} 1
                n_total{instance="b"} 1
                # HELP m m
                # TYPE m gauge
                m +Inf
                m -Inf
                m NaN

                """)
    }
}
