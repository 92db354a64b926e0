import MeshAdminAPI
import MeshTerminal
import Testing

@Suite struct StatisticsTextTests {
    private func text(_ statistics: MeshStatistics) -> String { StatisticsText.warnings(statistics).map(\.plain).joined(separator: "\n") }

    @Test func nothingIsSaidWhileAllIsStored() {
        #expect(StatisticsText.warnings(MeshStatistics(spansReceived: 9, spansStored: 9)).isEmpty)
    }

    @Test func lossesAreCounted() {
        #expect(text(MeshStatistics(spansDroppedByInstances: 2, spansDroppedByStore: 1)).contains("3 spans lost"))
    }

    @Test func aFullDiskIsNamedWithTheNextStep() {
        let said = text(MeshStatistics(spansDroppedByStore: 1, traceStoreError: "No space left on device"))
        #expect(said.contains("not being stored: No space left on device; 1 span lost"))
        #expect(said.contains("next: make room"))
    }
}
