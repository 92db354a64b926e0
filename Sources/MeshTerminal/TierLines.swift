import MeshAdminAPI

/// What progress upwards and downwards is drawn with.
enum TierLines {
    enum Mark {
        case done, running, broken

        var text: StyledText {
            switch self {
            case .done: StyledText("✓", .green)
            case .running: StyledText("·", .yellow)
            case .broken: StyledText("✗", .red)
            }
        }
    }

    /// The column in which the seconds end, where there is room for it.
    private static let secondsColumn = 63

    static func merge(_ progress: TierProgress, into tiers: inout [TierProgress]) {
        if let index = tiers.firstIndex(where: { $0.tier == progress.tier }) {
            tiers[index] = progress
        } else {
            tiers.append(progress)
        }
    }

    static func step(_ name: String, _ text: String) -> StyledText {
        Mark.done.text + StyledText(" " + name.padded(to: 10) + DisplayWidth.printable(text))
    }

    static func notice(_ notice: Notice) -> [StyledText] {
        [StyledText("! ", .yellow) + StyledText(DisplayWidth.printable(notice.message))]
            + (notice.hint.map { [StyledText("  next: \(DisplayWidth.printable($0))", .cyan)] } ?? [])
    }

    static func failure(_ failure: UpFailure, width: Int) -> [StyledText] {
        let subject = [failure.tier, failure.service, failure.instance.flatMap { $0 == failure.service ? nil : $0 }].compactMap { $0 }
        let place = subject.isEmpty ? "" : DisplayWidth.printable(subject.joined(separator: " · ")) + ": "
        return [StyledText("✗ ", .red) + StyledText(place, .bold) + StyledText(DisplayWidth.printable(failure.reason))]
            + failure.output.map { StyledText("  │ " + DisplayWidth.printable($0), .dim).truncated(to: width) }
            + [StyledText("  next: \(DisplayWidth.printable(failure.hint))", .cyan)]
    }

    /// `✓ domain      orders 2/2 · catalog 2/2 · customers 1/1    0.5s`; services that do not fit go to the next line.
    static func lines(_ progress: TierProgress, among tiers: [TierProgress], width: Int, mark: Mark) -> [StyledText] {
        let name = max(10, (tiers.map { DisplayWidth.of($0.tier) }.max() ?? 0) + 2)
        let seconds = Quantities.seconds(progress.seconds)
        let end = min(secondsColumn, width)
        let room = max(12, end - 2 - name - seconds.count - 2)
        var rows: [StyledText] = [StyledText()]
        for part in parts(progress) {
            let separator = rows[rows.count - 1].isEmpty ? StyledText() : part.isURL ? StyledText("  ") : StyledText(" · ", .dim)
            if !rows[rows.count - 1].isEmpty, rows[rows.count - 1].width + separator.width + part.text.width > room {
                rows.append(part.text)
            } else {
                rows[rows.count - 1] = rows[rows.count - 1] + separator + part.text
            }
        }
        return rows.enumerated().map { index, row in
            let head =
                index == 0
                ? mark.text + StyledText(" " + progress.tier.padded(to: name)) : StyledText(String(repeating: " ", count: name + 2))
            guard index == rows.count - 1 else { return head + row }
            let line = head + row.padded(to: room) + StyledText("  " + seconds, .dim)
            return line.width <= width ? line : (head + row).truncated(to: width)
        }
    }

    private static func parts(_ progress: TierProgress) -> [(text: StyledText, isURL: Bool)] {
        progress.services.map { service in
            let style: Style? = service.ready == service.wanted ? nil : .yellow
            return (StyledText(service.service + " ") + StyledText("\(service.ready)/\(service.wanted)", style), false)
        } + progress.urls.map { (StyledText($0, .cyan), true) }
    }
}

extension String {
    /// With blanks up to `width`, and one at least.
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(1, width - DisplayWidth.of(self))) }
}
