/// Where a gateway's access log goes, and in which form.
package struct AccessLogConfiguration: Hashable, Sendable, Codable {
    package enum Format: String, Hashable, Sendable, Codable {
        case text, json
    }

    /// By its absolute path; nil for standard output.
    package var file: String?
    package var format: Format

    package init(file: String?, format: Format = .text) {
        self.file = file
        self.format = format
    }
}
