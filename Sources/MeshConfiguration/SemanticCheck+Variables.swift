// Variables whose values lie in files of their own.

extension SemanticCheck {
    /// What would keep a service from its `env_file` and `secrets`, and who else could read them. What is found says nothing of what
    /// stands in them.
    mutating func checkVariableFiles() {
        for service in document.services {
            for file in service.variableFiles.files { checkEnvironmentFile(file, of: service.name) }
            let own = Set(service.versions.flatMap(\.environment).map(\.name))
            for secret in service.variableFiles.secrets {
                checkSecretFile(secret, of: service.name)
                guard own.contains(secret.name) else { continue }
                findings.report(
                    .wrongVariable, at: secret.file.mark, token: secret.file.written,
                    "services.\(service.name).env gives \(secret.name) a value, too", fix: "remove it there or under 'secrets'")
            }
        }
    }

    private mutating func checkEnvironmentFile(_ file: MeshDocument.VariableFiles.File, of service: String) {
        guard let (bytes, permissions) = read(file, key: "env_file", of: service) else { return }
        let content = EnvironmentFile(bytes)
        for problem in content.problems {
            findings.report(
                .wrongVariable, at: file.mark, token: file.written, "'\(file.written)', line \(problem.line): \(problem.reason)",
                fix: "write NAME=value, one a line; quotes hold blanks together, # begins a comment")
        }
        let secret = content.variables.first { Self.isSecretName($0.name) && !$0.value.isEmpty }
        if let secret { checkPermissions(permissions, of: file, "it sets \(secret.name)") }
    }

    private mutating func checkSecretFile(_ secret: MeshDocument.VariableFiles.Secret, of service: String) {
        guard let (bytes, permissions) = read(secret.file, key: "secrets.\(secret.name)", of: service) else { return }
        do {
            _ = try SecretFile.value(bytes)
        } catch {
            findings.report(
                .wrongVariable, at: secret.file.mark, token: secret.file.written,
                "'\(secret.file.written)' can't be the value of \(secret.name): \(error.reason)",
                fix: "write the value into it, and nothing else")
        }
        checkPermissions(permissions, of: secret.file, "it holds \(secret.name)")
    }

    private mutating func read(
        _ file: MeshDocument.VariableFiles.File, key: String, of service: String
    ) -> (bytes: [UInt8], permissions: UInt32)? {
        do {
            return try environment.privateFile(file.path).map { ($0.bytes, $0.permissions) }
        } catch {
            findings.report(
                .unreadableFile, at: file.mark, token: file.written,
                "services.\(service).\(key): '\(file.written)' can't be read: \(error.reason)",
                fix: "correct the path; relative paths start at the file's folder")
            return nil
        }
    }

    private mutating func checkPermissions(_ permissions: UInt32, of file: MeshDocument.VariableFiles.File, _ why: String) {
        guard permissions & 0o077 != 0 else { return }
        let digits = String(permissions & 0o777, radix: 8)
        findings.report(
            .exposedSecret, at: file.mark, token: file.written,
            "'\(file.written)' can be read by others (mode \(String(repeating: "0", count: max(0, 4 - digits.count)))\(digits)), and \(why)",
            fix: "chmod 600 \(file.written)")
    }
}
