// swift-tools-version: 6.2
// One product for others, `MeshSidecar`; everything else is this mesh's own.
// Who may import whom is held by Tests/ArchitectureTests.
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func program(_ name: String, in folder: String? = nil, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .executableTarget(name: name, dependencies: dependencies, path: folder, exclude: exclude, swiftSettings: strict)
}

func tests(
    _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], resources: [Resource]? = nil
) -> Target {
    .testTarget(
        name: name, dependencies: dependencies + ["TestSupport"], exclude: exclude, resources: resources, swiftSettings: strict)
}

// The shim lives once per replica: static and without Swift's runtime it takes 0.7 MB instead of 9. No sanitizer, since those
// need a dynamic executable. No target that others can depend on has these flags.
let unsanitized: [CSetting] = [.unsafeFlags(["-fno-sanitize=all", "-Wall", "-Wextra", "-Werror"])]
let withoutSwift: [LinkerSetting] = [
    .unsafeFlags(["-nostartfiles", "-static-executable", "-Xclang-linker", "-fno-sanitize=all"])
]

// Packages, by the name a target says.
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioHPACK = Target.Dependency.product(name: "NIOHPACK", package: "swift-nio-http2")
let nioHTTP2 = Target.Dependency.product(name: "NIOHTTP2", package: "swift-nio-http2")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let serviceLifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let swiftProtobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let tracing = Target.Dependency.product(name: "Tracing", package: "swift-distributed-tracing")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "mesh",
    products: [
        .library(name: "MeshSidecar", targets: ["MeshSidecar"]),
        .library(name: "MeshHummingbird", targets: ["MeshHummingbird"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // Deciding code: no NIO, no Foundation, no I/O.
        library("MeshModel", [httpTypes]),
        library("MeshHTTP", ["MeshModel"]),
        library("MeshPolicy", ["MeshModel"]),
        library("MeshExchange", ["MeshPolicy"]),
        library("MeshSimulation", ["MeshExchange"]),

        // Data plane.
        library("MeshConfiguration", ["MeshExchange", yams]),
        library("MeshTelemetry", ["MeshModel", "CMeshSystem", logging, metrics, tracing]),
        library("MeshEventLoop", ["MeshModel", "CMeshSystem", nioCore]),
        library(
            "MeshTransport",
            [
                "MeshEventLoop", "MeshHTTP", "MeshExchange", "MeshTelemetry", "CMeshSystem", httpTypes, nioCore, nioHPACK, nioHTTP2, nioSSL,
                nioTLS,
            ]),
        library("MeshControlProtocol", ["MeshExchange"]),
        library(
            "MeshSidecar",
            [
                "MeshTransport", "MeshConfiguration", "MeshControlProtocol", "MeshTelemetry", httpTypes, logging, metrics,
                serviceLifecycle, tracing, unixSignals,
            ]),
        library("MeshHummingbird", ["MeshSidecar", hummingbird]),

        // Control plane.
        .target(name: "CMeshSystem"),
        library("MeshLimits", ["CMeshSystem"]),
        library("MeshAdminAPI", ["MeshLimits", "MeshModel"]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(
            name: "MeshOTLP", dependencies: ["CZlib", "MeshTelemetry", swiftProtobuf], exclude: ["otlp.proto"], swiftSettings: strict),
        library("MeshStore", ["MeshTelemetry", grdb]),
        library("MeshSupervision", ["MeshLimits", "MeshModel", "CMeshSystem"]),
        library("MeshRegistry", ["MeshModel"]),
        program(
            "meshd",
            [
                "MeshAdminAPI", "MeshConfiguration", "MeshControlProtocol", "MeshLimits", "MeshOTLP", "MeshRegistry", "MeshStore",
                "MeshSupervision", "MeshTransport", hummingbird, nioPosix,
            ]),
        .executableTarget(
            name: "mesh-shim", cSettings: unsanitized + [.headerSearchPath("../CMeshSystem/include")], linkerSettings: withoutSwift),

        // Face.
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .target(name: "CCurlShims", dependencies: ["CCurl"]),
        library("Curl", ["CCurl", "CCurlShims", "MeshModel"]),
        library("MeshTerminal", ["MeshAdminAPI"]),
        program(
            "mesh",
            ["CMeshSystem", "Curl", "MeshAdminAPI", "MeshConfiguration", "MeshLimits", "MeshSimulation", "MeshTerminal", argumentParser]),

        // The shop, and the two services that stand for any other.
        .target(name: "ShopKit", dependencies: [grdb], path: "services/shared/ShopKit", swiftSettings: strict),
        program("edge-gateway", in: "services/edge/gateway", ["MeshConfiguration", "MeshSidecar", "MeshTransport"]),
        program("orders", in: "services/domain/orders", ["MeshHummingbird", "ShopKit", grdb]),
        program("catalog", in: "services/domain/catalog", ["MeshHummingbird", "ShopKit", grdb]),
        program("customers", in: "services/domain/customers", ["MeshHummingbird"]),
        program("relay", in: "services/domain/relay", ["MeshSidecar"]),
        program("ledger", in: "services/enterprise/ledger", ["MeshHummingbird", "ShopKit", grdb]),
        program("inventory", in: "services/enterprise/inventory", ["MeshHummingbird", "ShopKit", grdb]),
        program("crm", in: "services/enterprise/crm", ["MeshHummingbird", "ShopKit", grdb]),
        program("echo", in: "services/enterprise/echo", ["MeshSidecar"]),

        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
        tests("MeshModelTests", ["MeshModel"]),
        .target(name: "CodecChecks", dependencies: ["MeshHTTP"], path: "Tests/Fuzzers/CodecChecks", swiftSettings: strict),
        tests("MeshHTTPTests", ["CodecChecks", "MeshHTTP", "MeshModel", nioCore, nioEmbedded, nioHTTP1]),
        tests("MeshPolicyTests", ["MeshPolicy"]),
        tests("MeshExchangeTests", ["MeshExchange"]),
        tests("SimulationTests", ["MeshSimulation"]),
        program("simulation-seeds", in: "Benchmarks/simulation", ["MeshSimulation"]),
        tests("MeshConfigurationTests", ["MeshConfiguration"]),
        tests("MeshTelemetryTests", ["MeshTelemetry"]),
        tests("MeshEventLoopTests", ["MeshEventLoop", "MeshModel"]),
        tests("MeshTransportTests", ["MeshTransport", nioEmbedded, nioHPACK, nioHTTP2, nioPosix, nioSSL, nioTLS]),
        tests("MeshControlProtocolTests", ["MeshControlProtocol"]),
        tests("MeshSidecarTests", ["MeshSidecar", nioPosix]),
        tests("MeshHummingbirdTests", ["MeshHummingbird"]),
        tests("MeshOTLPTests", ["MeshOTLP"]),
        program("trace-benchmark", in: "Benchmarks/traces", ["MeshStore"], exclude: ["README.md"]),
        tests("MeshStoreTests", ["MeshStore", "trace-benchmark", grdb]),
        program(
            "recording-benchmark", in: "Benchmarks/recording", ["MeshConfiguration", "MeshStore", "MeshTransport"],
            exclude: ["README.md"]),
        .executableTarget(
            name: "test-service", path: "Tests/TestService", cSettings: unsanitized, linkerSettings: withoutSwift),
        tests("MeshLimitsTests", ["MeshLimits"]),
        tests("MeshSupervisionTests", ["MeshLimits", "MeshSupervision", "mesh-shim", "test-service"]),
        tests("MeshAdminAPITests", ["MeshAdminAPI"]),
        tests("MeshTerminalTests", ["MeshTerminal", "MeshAdminAPI"], exclude: ["Golden"]),
        tests("CurlTests", ["Curl"]),
        tests("ShopTests", ["orders", "catalog", "ledger", "inventory", "crm"]),
        tests("MeshRegistryTests", ["MeshRegistry"]),
        tests("MeshDaemonTests", ["meshd"]),
        tests(
            "MeshCommandTests",
            [
                "mesh", "Curl", "MeshAdminAPI", "MeshConfiguration", "MeshLimits", "MeshModel", "MeshPolicy", "MeshSimulation",
                argumentParser,
            ]),
        tests("ArchitectureTests", []),
        program("fake-version", in: "Tests/FakeVersion", ["MeshSidecar"]),
        tests(
            "IntegrationTests",
            [
                "Curl", "MeshAdminAPI", "MeshSupervision", "fake-version", "mesh", "meshd", "mesh-shim", "edge-gateway", "orders",
                "catalog", "customers", "relay", "ledger",
                "inventory", "crm", "echo",
            ]),
    ]
)
