/// Who may import whom: the table of the architecture.
///
/// Invariant: arrows run one way. A target may import what its row names and everything that stands below it by those arrows.
/// Change a row when a better cut shows itself, and say so in the commit.
enum ImportTable {
    struct Row {
        var folder: String
        var mayImport: Set<String>
    }

    /// Modules that come with the toolchain and do no I/O.
    static let always: Set<String> = ["Swift", "Synchronization", "Builtin"]

    /// Modules that come with the toolchain and bring the operating system along: not for deciding code.
    static let system: Set<String> = ["Foundation", "FoundationEssentials", "Glibc", "Musl", "Darwin", "Dispatch"]

    /// Targets that decide: no NIO, no Foundation, no operating system.
    static let deciding: Set<String> = ["MeshModel", "MeshHTTP", "MeshPolicy", "MeshExchange", "MeshSimulation"]

    static let nio: Set<String> = [
        "NIOCore", "NIOPosix", "NIOConcurrencyHelpers", "NIOHPACK", "NIOHTTP2", "NIOSSL", "NIOTLS",
    ]

    static let rows: [String: Row] = [
        "MeshModel": library("MeshModel", ["HTTPTypes"]),
        "MeshHTTP": library("MeshHTTP", ["MeshModel"]),
        "MeshPolicy": library("MeshPolicy", ["MeshModel"]),
        "MeshExchange": library("MeshExchange", ["MeshPolicy"]),
        "MeshSimulation": library("MeshSimulation", ["MeshExchange"]),
        "MeshConfiguration": library("MeshConfiguration", ["MeshExchange", "Yams"]),
        "MeshTelemetry": library(
            "MeshTelemetry", ["MeshModel", "CMeshSystem", "Logging", "Metrics", "Tracing", "Instrumentation", "ServiceContextModule"]),
        "MeshEventLoop": library("MeshEventLoop", ["MeshModel", "CMeshSystem", "NIOCore"]),
        "MeshTransport": library(
            "MeshTransport",
            nio.subtracting(["NIOPosix"]).union(["MeshEventLoop", "MeshHTTP", "MeshExchange", "MeshTelemetry", "CMeshSystem"])),
        "MeshControlProtocol": library("MeshControlProtocol", ["MeshExchange"]),
        "MeshSidecar": library(
            "MeshSidecar", ["MeshTransport", "MeshConfiguration", "MeshControlProtocol", "ServiceLifecycle", "UnixSignals"]),
        "MeshHummingbird": library("MeshHummingbird", ["MeshSidecar", "Hummingbird", "HummingbirdCore"]),
        "CMeshSystem": library("CMeshSystem", []),
        "MeshLimits": library("MeshLimits", ["CMeshSystem"]),
        "MeshAdminAPI": library("MeshAdminAPI", ["MeshLimits", "MeshModel"]),
        "MeshOTLP": library("MeshOTLP", ["MeshTelemetry", "SwiftProtobuf", "CZlib"]),
        "MeshStore": library("MeshStore", ["MeshTelemetry", "GRDB"]),
        "MeshSupervision": library("MeshSupervision", ["MeshLimits", "MeshModel", "CMeshSystem"]),
        "MeshRegistry": library("MeshRegistry", ["MeshModel"]),
        "MeshTerminal": library("MeshTerminal", ["MeshAdminAPI"]),
        "Curl": library("Curl", ["CCurl", "CCurlShims", "MeshModel"]),
        "mesh": library(
            "mesh", ["CMeshSystem", "Curl", "MeshTerminal", "MeshAdminAPI", "MeshConfiguration", "MeshSimulation", "ArgumentParser"]),
        "meshd": library(
            "meshd",
            nio.union([
                "MeshConfiguration", "MeshControlProtocol", "MeshOTLP", "MeshStore", "MeshSupervision", "MeshRegistry", "MeshAdminAPI",
                "MeshTransport",
                "Hummingbird",
                "ServiceLifecycle", "UnixSignals",
            ])),
        "edge-gateway": service("edge/gateway", ["MeshSidecar"]),
        "relay": service("domain/relay", ["MeshSidecar"]),
        "echo": service("enterprise/echo", ["MeshSidecar"]),
        "ShopKit": service("shared/ShopKit", ["GRDB"]),
        "orders": service("domain/orders", ["MeshHummingbird", "ShopKit"]),
        "catalog": service("domain/catalog", ["MeshHummingbird", "ShopKit"]),
        "customers": service("domain/customers", ["MeshHummingbird"]),
        "ledger": service("enterprise/ledger", ["MeshHummingbird", "ShopKit"]),
        "inventory": service("enterprise/inventory", ["MeshHummingbird", "ShopKit"]),
        "crm": service("enterprise/crm", ["MeshHummingbird", "ShopKit"]),
    ]

    /// Everything that `target` may import, arrows followed to the end.
    static func reach(of target: String) -> Set<String> {
        var reached: Set<String> = []
        var toVisit = rows[target]?.mayImport ?? []
        while let next = toVisit.popFirst() {
            if reached.insert(next).inserted { toVisit.formUnion(rows[next]?.mayImport ?? []) }
        }
        return reached
    }

    private static func library(_ name: String, _ mayImport: Set<String>) -> Row { Row(folder: "Sources/\(name)", mayImport: mayImport) }
    private static func service(_ path: String, _ mayImport: Set<String>) -> Row { Row(folder: "services/\(path)", mayImport: mayImport) }
}
