package import MeshAdminAPI

/// What a table of requests does not count, and how to see it.
package enum LeftOutText {
    package static func remarks(_ report: LeftOutReport) -> [String] {
        var remarks: [String] = []
        if report.detached > 0 {
            remarks.append(
                "\(Quantities.count(report.detached, "trace")) of detached work left out, since no request waits for it; "
                    + "to count it, name its route (route:detached)")
        }
        if report.rootless > 0 {
            remarks.append(
                "\(Quantities.count(report.rootless, "trace")) left out whose root has not come: how long they took is not known")
        }
        return remarks
    }
}
