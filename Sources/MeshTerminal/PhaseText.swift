/// The phases of one request, each in milliseconds, as `mesh call` prints them.
package enum PhaseText {
    /// `dns 0.1 · connect 0.2 · first byte 361 · total 362 ms`; a phase without a length is left out.
    package static func line(_ phases: [(name: String, milliseconds: Double)], width: Int?) -> StyledText {
        let shown = phases.filter { $0.milliseconds > 0 || $0.name == "total" }
        let places = (shown.map(\.milliseconds).max() ?? 0) >= 100 ? 0 : 1
        let parts = shown.map { "\($0.name) \(Quantities.decimal($0.milliseconds, $0.milliseconds < 10 ? max(1, places) : places))" }
        let line = StyledText(parts.joined(separator: " · ") + " ms", .dim)
        return width.map { line.truncated(to: $0) } ?? line
    }
}
