import Foundation
import MeshModel
import MeshStore
import MeshTelemetry
import TestSupport
import Testing

@Suite("Trace intake", .blocking)
struct TraceIntakeTests {
    private let folder = TemporaryFolder()

    private func intake(_ change: (inout TraceIntake.Settings) -> Void = { _ in }) -> TraceIntake {
        var settings = TraceIntake.Settings()
        change(&settings)
        return TraceIntake(store: TraceStore(folder: folder.path + "/traces"), settings: settings)
    }

    @Test func storesWhatWaits() throws {
        let intake = intake()
        for batch in Story.order().batches { #expect(intake.accept(batch)) }
        #expect(intake.counters.waitingSpans == 13)
        intake.flush()
        #expect(intake.counters == .init(receivedSpans: 13, droppedSpans: 0, lostAtSource: 0, waitingSpans: 0))
        #expect(try intake.store.show("last").nodes.count == 13)
    }

    @Test(.timeLimit(.minutes(10)))
    func storesByItself() async throws {
        let intake = intake { $0.interval = .milliseconds(5) }
        intake.start()
        for batch in Story.order().batches { #expect(intake.accept(batch)) }
        // With a pause: the store has one lock, which whoever asks without one keeps from the writer.
        while intake.store.list().traces.first?.spans != 13 { try await Task.sleep(for: .milliseconds(1)) }
        intake.shutdown()
    }

    @Test func storesTheRestAtTheEnd() throws {
        let intake = intake { $0.interval = .seconds(3_600) }
        intake.start()
        for batch in Story.order().batches { #expect(intake.accept(batch)) }
        intake.shutdown()
        #expect(try intake.store.show("last").nodes.count == 13)
    }

    @Test func refusesWhatFindsNoRoom() {
        let batch = Story.short(1).batches[0]
        let intake = intake { $0.limit = batch.records.count * 2 }
        #expect(intake.accept(batch))
        #expect(intake.accept(batch))
        #expect(!intake.accept(batch))
        #expect(intake.counters.droppedSpans == 0)
        intake.acceptOrDrop(batch)
        #expect(intake.counters.droppedSpans == 1)
        intake.flush()
        #expect(intake.accept(batch))
    }

    @Test func keepsWhatCouldNotBeStored() throws {
        let intake = intake()
        #expect(FileManager.default.createFile(atPath: folder.path + "/traces", contents: Data()))
        for batch in Story.order().batches { #expect(intake.accept(batch)) }
        intake.flush()
        #expect(intake.counters.waitingSpans == 13)
        #expect(intake.store.status.failure != nil)
        try FileManager.default.removeItem(atPath: folder.path + "/traces")
        // The store waits half a second on its own clock before it tries again.
        let limit = HostClock.now() + .seconds(30)
        while intake.counters.waitingSpans > 0, HostClock.now() < limit { intake.flush() }
        #expect(intake.counters.waitingSpans == 0)
        #expect(intake.counters.droppedSpans == 0)
        #expect(try intake.store.show("last").nodes.count == 13)
    }

    @Test func countsWhatItGivesUp() {
        let intake = intake()
        #expect(FileManager.default.createFile(atPath: folder.path + "/traces", contents: Data()))
        for batch in Story.order().batches { #expect(intake.accept(batch)) }
        intake.shutdown()
        #expect(intake.counters == .init(receivedSpans: 13, droppedSpans: 13, lostAtSource: 0, waitingSpans: 0))
    }

    @Test func sumsWhatProcessesLost() {
        let intake = intake()
        var batch = Story.short(1).batches[0]
        for total in [5, 5, 9] as [UInt64] {
            batch.dropped = total
            _ = intake.accept(batch)
        }
        #expect(intake.counters.lostAtSource == 9)
    }
}
