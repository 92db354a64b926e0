import Foundation

/// The folder where a mesh keeps what must outlive its daemon: `MESH_STATE_DIR`, else `.mesh/<mesh>/` beside mesh.yaml.
package struct StateFolder: Hashable, Sendable {
    /// Absolute.
    package var path: String

    /// - Parameter path: relative ones start at the working folder.
    package init(path: String) {
        self.path = URL(fileURLWithPath: path).standardizedFileURL.path
    }

    /// The folder of the mesh called `mesh` that `file` describes.
    package init(mesh: String, file: String, environment: [String: String]) {
        if let folder = Self.named(by: environment) {
            self = folder
        } else {
            let beside = URL(fileURLWithPath: file).standardizedFileURL.deletingLastPathComponent()
            self.init(path: beside.appendingPathComponent(".mesh").appendingPathComponent(mesh).path)
        }
    }

    /// The folder that `MESH_STATE_DIR` names; nil where it is unset or empty.
    package static func named(by environment: [String: String]) -> StateFolder? {
        guard let path = environment["MESH_STATE_DIR"], !path.isEmpty else { return nil }
        return StateFolder(path: path)
    }

    package var daemonLock: String { path + "/daemon.lock" }
    package var daemonLog: String { path + "/daemon.log" }
    package var revision: String { path + "/revision.json" }
    package var instances: String { path + "/instances" }
    package var data: String { path + "/data" }
    /// What was applied, for `mesh rollback` and for a daemon that comes back.
    package var deployments: String { path + "/deployments.json" }
    /// Programs as they were when they were started.
    package var builds: String { path + "/builds" }
    /// What was read of programs, so that it need not be read again.
    package var fingerprints: String { path + "/fingerprints.json" }
    package var traces: String { path + "/traces" }
    /// What makes the hashes of this mesh's secrets its own.
    package var salt: String { path + "/secrets.salt" }
    /// What a request names in `mesh-keep` so that its trace is kept: who may read this file may ask for that.
    package var keepKey: String { path + "/keep.key" }
}
