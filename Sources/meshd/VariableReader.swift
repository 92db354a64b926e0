import Foundation
import MeshConfiguration
import MeshModel
import MeshSupervision

/// Reads the values of private variables, and tells whether they have changed.
///
/// Invariant: what is kept of a value is a hash with this mesh's own salt, cut to 64 bits: whoever gets hold of both can try out guesses,
/// and can't tell a right one from a lucky one for certain.
struct VariableReader: Sendable {
    private let salt: [UInt8]

    struct Failure: Error, Hashable, CustomStringConvertible {
        var description: String
    }

    /// - Parameter saltPath: where the salt lies; it is made where there is none. One that can't be kept holds for this daemon's life.
    init(saltPath: String) {
        var random = SystemRandomNumberGenerator()
        salt = Array((KeepKey.load(from: saltPath) ?? Hexadecimal.string(random.next(), random.next())).utf8)
    }

    func values(of variables: PrivateVariables) throws(Failure) -> [String: String] {
        var values: [String: String] = [:]
        for path in variables.files {
            let content = EnvironmentFile(try read(path, for: "env_file"))
            if let problem = content.problems.first {
                throw Failure(description: "env_file \(path), line \(problem.line): \(problem.reason)")
            }
            for (name, value) in content.variables where !variables.except.contains(name) && !Self.isTheMeshs(name) { values[name] = value }
        }
        for (name, path) in variables.secrets where !Self.isTheMeshs(name) {
            let bytes = try read(path, for: "secret \(name)")
            do { values[name] = try SecretFile.value(bytes) } catch {
                throw Failure(description: "secret \(name): \(path) can't be its value: \(error.reason)")
            }
        }
        return values
    }

    /// What a service is to get, with what tells its values from others; no digests where they can't be read, which its start will say.
    func describe(_ files: MeshDocument.VariableFiles, except: Set<String>) -> PrivateVariables? {
        guard files != MeshDocument.VariableFiles() else { return nil }
        var variables = PrivateVariables(
            files: files.files.map(\.path), secrets: Dictionary(files.secrets.map { ($0.name, $0.file.path) }, uniquingKeysWith: { $1 }),
            except: except)
        if let values = try? values(of: variables) { variables.digests = digests(values) }
        return variables
    }

    private func digests(_ values: [String: String]) -> [String: String] {
        Dictionary(
            uniqueKeysWithValues: values.map { name, value in
                let hash = SHA256.digest(salt + [0] + Array(name.utf8) + [0] + Array(value.utf8))
                return (name, Hexadecimal.string(hash.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }))
            })
    }

    private func read(_ path: String, for what: String) throws(Failure) -> [UInt8] {
        do {
            return try SystemConfigurationEnvironment().privateFile(path)?.bytes ?? []
        } catch {
            throw Failure(description: "\(what): \(path) can't be read: \(error.reason)")
        }
    }

    private static func isTheMeshs(_ name: String) -> Bool { name.hasPrefix("MESH_") || name.hasPrefix("LISTEN_") }
}
