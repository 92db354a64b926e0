import Foundation
import MeshConfiguration
import MeshModel
import MeshTelemetry
import MeshTransport

/// The gateway of a mesh.yaml with one event loop, which records spans or does not: what recording adds to a request is the
/// difference. Runs until SIGTERM.
///
/// The spans of a whole measurement find room in its ring, so that nobody has to read them meanwhile.
func runGateway(mesh path: String, isRecording: Bool) throws {
    // Before any thread is started, so that all of them leave it to this one.
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGTERM)
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    signal(SIGPIPE, SIG_IGN)

    let (document, findings) = MeshDocument.load(path: path)
    guard let document, let gateway = document.gateway,
        let snapshot = document.snapshotConfiguration(for: MeshDocument.gatewayName, revision: 1, endpoints: { _ in [] })
    else {
        print(findings.rendered)
        exit(1)
    }
    var settings = TelemetryPipeline.Settings()
    settings.loops = 1
    settings.ringCapacity = 64 << 20
    let origin = SpanOrigin(instance: InstanceID(high: 1, low: 1), service: "gateway", tier: "edge")
    let pipeline = isRecording ? TelemetryPipeline(origin: origin, settings: settings) : nil
    let runtime = try MeshRuntime(snapshot, threads: 1, telemetry: pipeline)
    Task {
        for listen in gateway.listen {
            do {
                _ = try await runtime.listen(on: .address(listen.address), as: .gateway)
            } catch {
                print("\(error)")
                exit(1)
            }
        }
    }
    var caught: Int32 = 0
    while sigwait(&signals, &caught) != 0 {}
    if let pipeline {
        let read = try RingReading(pipeline).end()
        FileHandle.standardError.write(Data("\(read) spans recorded, \(pipeline.dropped) found no room\n".utf8))
    }
    exit(0)
}
