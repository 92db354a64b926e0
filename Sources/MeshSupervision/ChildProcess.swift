internal import CMeshSystem
internal import Glibc

/// Starts processes with exactly the descriptors that they are meant to have.
enum ChildProcess {
    /// `descriptors` become 3, 4, … there; standard streams are /dev/null. Returns the process's id once its executable runs.
    static func spawn(
        _ executable: String, arguments: [String], environment: [String: String], folder: String?, descriptors: [Int32], newSession: Bool
    ) throws(SystemError) -> Int32 {
        var argumentTexts: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var environmentTexts: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        let folderText = folder.map { strdup($0)! }
        let path = strdup(executable)!
        defer {
            for text in argumentTexts + environmentTexts { free(text) }
            free(folderText)
            free(path)
        }
        let process = argumentTexts.withUnsafeMutableBufferPointer { argumentTexts in
            environmentTexts.withUnsafeMutableBufferPointer { environmentTexts in
                descriptors.withUnsafeBufferPointer { descriptors in
                    var spawn = mesh_spawn(
                        path: path, arguments: argumentTexts.baseAddress!, environment: environmentTexts.baseAddress!,
                        folder: folderText, descriptors: descriptors.baseAddress, descriptor_count: descriptors.count, output: -1,
                        error: -1, new_session: newSession)
                    return mesh_spawn_process(&spawn)
                }
            }
        }
        guard process > 0 else { throw SystemError("running \(executable)") }
        return process
    }
}
