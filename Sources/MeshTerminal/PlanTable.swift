package import MeshAdminAPI

/// `mesh plan`: a line per service that would change.
package enum PlanTable {
    package static func lines(_ changes: [UpEvent.ServiceChange], width: Int? = nil) -> [StyledText] {
        guard !changes.isEmpty else { return [StyledText("nothing to change", .dim)] }
        var table = Table([.init("SERVICE", minimum: 10), .init("CHANGE", minimum: 8), .init("WHY", minimum: 20)])
        for change in changes {
            table.add([
                StyledText(DisplayWidth.printable(change.service), .bold), StyledText(change.action.rawValue, style(of: change.action)),
                StyledText(DisplayWidth.printable(change.reason ?? "")),
            ])
        }
        return table.lines(width: width)
    }

    private static func style(of action: UpEvent.ServiceChange.Action) -> Style? {
        switch action {
        case .start, .update: .green
        case .scale, .replace: .yellow
        case .restart, .stop: .red
        }
    }
}
