/// Variables of a process whose values lie in files: read anew at every start, and given to the process alone.
///
/// Invariant: nothing that is kept, sent or shown has a value, only what tells one value from another.
package struct PrivateVariables: Hashable, Sendable, Codable {
    /// Files of `NAME=value` lines; a later one counts over those before it.
    package var files: [String]
    /// The file of each secret, by the name of its variable; they count over `files`.
    package var secrets: [String: String]
    /// Names that `files` can't give a value, since mesh.yaml does.
    package var except: Set<String>
    /// By the name of the variable, of the values as they were when the process was asked for: what it reads at a later start of its own
    /// accord may be newer, and is replaced once more when it is asked for again.
    package var digests: [String: String]

    package init(files: [String] = [], secrets: [String: String] = [:], except: Set<String> = [], digests: [String: String] = [:]) {
        self.files = files
        self.secrets = secrets
        self.except = except
        self.digests = digests
    }

    /// The names of the variables whose values differ, sorted: where they are read from makes no difference.
    package static func changes(from old: PrivateVariables?, to new: PrivateVariables?) -> [String] {
        let (old, new) = (old?.digests ?? [:], new?.digests ?? [:])
        return Set(old.keys).union(new.keys).filter { old[$0] != new[$0] }.sorted()
    }
}
