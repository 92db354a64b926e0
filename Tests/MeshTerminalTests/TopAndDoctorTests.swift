import MeshAdminAPI
import Testing

@testable import MeshTerminal

@Suite struct TopAndDoctorTests {
    static let top = TopReport(
        node: .init(
            host: "shop-1", cores: 2, load: 1.42, cpuPercent: 63.4, memoryTotalBytes: 16 << 30, memoryAvailableBytes: 11 << 30,
            daemon: .init(pid: 10, cpuPercent: 0.42, rssBytes: 31 << 20, descriptors: 40, threads: 6)),
        instances: [
            .init(
                service: "ledger", tier: "enterprise", instance: "ledger-1", state: .ready,
                usage: .init(pid: 11, cpuPercent: 12.4, rssBytes: 497 << 20, descriptors: 57, threads: 9),
                cpuHistory: (0..<30).map { Double($0) }, memoryLimitBytes: 512 << 20, descriptorLimit: 4096, rps: 212.4, failedRatio: 0.019),
            .init(
                service: "inventory", tier: "enterprise", instance: "inventory-2", state: .ready,
                usage: .init(pid: 12, cpuPercent: 97, rssBytes: 38 << 20, descriptors: 31, threads: 7),
                cpuHistory: Array(repeating: 2, count: 20) + Array(repeating: 97, count: 10), rps: 3.07, failedRatio: 0),
            .init(
                service: "gateway", tier: "edge", instance: "gateway-1", state: .draining,
                usage: .init(pid: 13, rssBytes: 24 << 20, descriptors: 1203, threads: 5), rps: 0),
            .init(service: "catalog", tier: "domain", instance: "catalog-v2-1", state: .crashLoop),
        ])

    static let doctor = [
        DoctorFinding("kernel", .ok, "Linux 6.18.44, 2 cores, 16G of memory"),
        DoctorFinding("programs", .ok, "meshd and mesh-shim stand beside mesh 0.1.0"),
        DoctorFinding(
            "limits", .note,
            "memory: looked at every second, cpu: whole cores, files: rlimit; control group /sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope is not delegated",
            fix: "systemd-run --user --scope -p Delegate=yes mesh up"),
        DoctorFinding(
            "state", .warning, "/home/shop/.mesh/shop is open to others (mode 755): environments of services lie there",
            fix: "chmod 700 /home/shop/.mesh/shop"),
        DoctorFinding(
            "ports", .error, "gateway can't listen on 0.0.0.0:8080: address already in use",
            fix: "choose another port in mesh.yaml, or end who has it: ss -ltnp"),
    ]

    @Test(arguments: [80, 120]) func top(width: Int) {
        let lines = TopTable.lines(Self.top, width: width)
        for line in lines { #expect(line.width <= width) }
        Golden.expect("top-\(width)", lines)
    }

    @Test(arguments: 20..<140) func topFitsEveryWidth(width: Int) {
        // Names are cut to 12, and numbers are never cut.
        for line in TopTable.lines(Self.top, width: width) where width >= 30 { #expect(line.width <= width) }
    }

    @Test func topFitsTheScreen() {
        let lines = TopTable.lines(Self.top, width: 80, rows: 4)
        #expect(lines.count == 4)
        #expect(lines.last?.plain == "… 3 more")
        #expect(TopTable.lines(Self.top, width: 80, rows: 6).count == 6)
    }

    @Test(arguments: [
        (TopTable.Order.cpu, ["inventory-2", "ledger-1", "catalog-v2-1", "gateway-1"]),
        (.memory, ["ledger-1", "inventory-2", "gateway-1", "catalog-v2-1"]),
        (.traffic, ["ledger-1", "inventory-2", "catalog-v2-1", "gateway-1"]),
        (.name, ["catalog-v2-1", "gateway-1", "inventory-2", "ledger-1"]),
    ])
    func topIsSorted(order: TopTable.Order, names: [String]) {
        let lines = TopTable.lines(Self.top, by: order, width: nil).dropFirst(2)
        #expect(lines.map { String($0.plain.prefix { $0 != " " }) } == names)
    }

    @Test(
        arguments: [
            ([], ""), ([0, 0], "▁"), ([100, 100], "█"), ([50, 0], "▅"), ([0, 0, 200, 0], "▁█"), ([1, 0, 0], "▁"),
        ] as [([Double], String)])
    func barsShowHowItWent(history: [Double], bars: String) { #expect(TopTable.bars(history) == bars) }

    @Test(arguments: [80, 120]) func doctor(width: Int) { Golden.expect("doctor-\(width)", DoctorText.lines(Self.doctor, width: width)) }

    @Test func doctorSumsUp() {
        #expect(DoctorText.summary(Self.doctor).plain == "1 error, 1 warning")
        #expect(DoctorText.summary([Self.doctor[0]]).plain == "nothing here will bite")
    }
}
