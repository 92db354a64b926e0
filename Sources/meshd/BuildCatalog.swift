import Foundation
import MeshModel

/// Tells one build of a program from another by its content, so that a rebuild that changed nothing replaces nothing.
///
/// A file is read again only when its size, time or inode has changed, also by the next daemon: reading the programs of a mesh takes
/// longer than all else that it does before it answers.
final class BuildCatalog: Sendable {
    private struct Identity: Hashable, Codable {
        var device: UInt64
        var inode: UInt64
        var size: Int64
        var seconds: Int
        var nanoseconds: Int
    }

    /// One file as it was read.
    private struct Reading: Codable {
        var identity: Identity
        var hash: UInt64
    }

    private struct Known {
        /// What this daemon asked for.
        var hashes: [Identity: UInt64] = [:]
        /// What an earlier one left.
        var remembered: [Identity: UInt64] = [:]
        var isSaved = true

        mutating func hash(of identity: Identity) -> UInt64? {
            if let hash = hashes[identity] { return hash }
            guard let hash = remembered[identity] else { return nil }
            hashes[identity] = hash
            return hash
        }

        mutating func learned(_ hash: UInt64, of identity: Identity) {
            hashes[identity] = hash
            isSaved = false
        }
    }

    private let known: Guarded<Known>
    /// Where builds are kept, as hard links by their names.
    private let folder: String
    /// Where what was read is written down.
    private let fingerprints: String

    /// What can't be read of an earlier catalog is read from the programs again.
    init(folder: String, fingerprints: String) {
        self.folder = folder
        self.fingerprints = fingerprints
        let data = try? Data(contentsOf: URL(filePath: fingerprints))
        let readings = data.flatMap { try? JSONDecoder().decode([Reading].self, from: $0) } ?? []
        known = Guarded(Known(remembered: Dictionary(readings.map { ($0.identity, $0.hash) }, uniquingKeysWith: { $1 })))
    }

    /// Writes down what was asked for, where that is news; one that can't is read again by the next daemon.
    func save() {
        let readings = known.withLock { known -> [Reading]? in
            guard !known.isSaved else { return nil }
            known.isSaved = true
            return known.hashes.map { Reading(identity: $0.key, hash: $0.value) }
        }
        guard let readings, let data = try? JSONEncoder().encode(readings) else { return }
        try? data.write(to: URL(filePath: fingerprints), options: .atomic)
    }

    /// 16 hexadecimal digits; nil where nothing can be read.
    ///
    /// The program, and behind an interpreter the script: the first argument that names a file.
    func build(of executable: String, _ arguments: [String], folder: String, path: String?) -> String? {
        let files = Self.files(of: executable, arguments, folder: folder, path: path)
        guard let program = files.first else { return nil }
        var hash = fingerprint(of: program)
        for file in files.dropFirst() {
            if let own = fingerprint(of: file) { hash = (hash ?? 0) ^ own &* 0x9e37_79b9_7f4a_7c15 }
        }
        return hash.map(Self.text)
    }

    /// The program, and behind an interpreter what may be the script; none where there is no such program.
    static func files(of executable: String, _ arguments: [String], folder: String, path: String?) -> [String] {
        guard let program = locate(executable, path: path) else { return [] }
        guard !program.hasPrefix(folder + "/"), let script = arguments.first(where: { !$0.hasPrefix("-") }) else { return [program] }
        return [program, script.hasPrefix("/") ? script : folder + "/" + script]
    }

    private static func text(_ hash: UInt64) -> String {
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    // MARK: Builds that are kept

    /// Keeps the program that lies at `path` now under the name of its build, so that it can be run again when another one lies there.
    ///
    /// A hard link costs nothing, and holds as long as whoever builds makes a new file instead of writing into the old one, as linkers do;
    /// where it did not hold, or can't be made, the build is not found again, and that is said.
    func keep(_ build: String?, at path: String) {
        guard let build, path.hasPrefix("/"), fingerprint(of: path).map(Self.text) == build else { return }
        mkdir(folder, 0o700)
        link(path, place(of: build))
    }

    /// Forgets all builds but these.
    func prune(keeping builds: Set<String>) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] where !builds.contains(name) {
            unlink("\(folder)/\(name)")
        }
    }

    /// Whether a build can be run: from where mesh.yaml has it, or from where it was kept.
    func isThere(_ build: String, at path: String, search: String?) -> Bool {
        current(path, search) == build || kept(build)
    }

    /// Where a build was kept, if what lies at `path` is another one by now; nil also where it was not kept.
    func otherPlace(of build: String?, at path: String, path search: String?) -> String? {
        guard let build, current(path, search) != build, kept(build) else { return nil }
        return place(of: build)
    }

    private func current(_ path: String, _ search: String?) -> String? {
        Self.locate(path, path: search).flatMap { fingerprint(of: $0) }.map(Self.text)
    }

    private func kept(_ build: String) -> Bool { fingerprint(of: place(of: build)).map(Self.text) == build }
    private func place(of build: String) -> String { "\(folder)/\(build)" }

    private static func locate(_ executable: String, path: String?) -> String? {
        if executable.contains("/") { return executable }
        let folders = (path ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":")
        return folders.lazy.map { "\($0)/\(executable)" }.first { access($0, X_OK) == 0 }
    }

    private func fingerprint(of path: String) -> UInt64? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        let identity = Identity(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int64(status.st_size), seconds: status.st_mtim.tv_sec,
            nanoseconds: status.st_mtim.tv_nsec)
        if let hash = known.withLock({ $0.hash(of: identity) }) { return hash }
        guard let hash = Self.hash(file, size: Int(status.st_size)) else { return nil }
        known.withLock { $0.learned(hash, of: identity) }
        return hash
    }

    /// Not for secrets: a multiplication and a shift for every eight bytes, which reads a program of 20 MB in some milliseconds.
    private static func hash(_ file: Int32, size: Int) -> UInt64? {
        var hash = UInt64(size)
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 8)
        defer { chunk.deallocate() }
        // Read, not mapped: a linker that truncates the file meanwhile must not end the daemon.
        while true {
            let count = read(file, chunk.baseAddress, chunk.count)
            guard count >= 0 else { return nil }
            guard count > 0 else { return hash }
            let padded = (count + 7) & ~7
            chunk[count..<padded].initializeMemory(as: UInt8.self, repeating: 0)
            let words = chunk.bindMemory(to: UInt64.self)
            // Neither an iterator nor a closure: a debug build would spend seconds in them.
            var word = 0
            while word < padded / 8 {
                hash = (hash ^ words[word]) &* 0x9e37_79b9_7f4a_7c15
                hash ^= hash >> 29
                word += 1
            }
        }
    }
}
