/// How the certificate of an `https:` endpoint is checked.
package struct UpstreamTLS: Hashable, Sendable, Codable {
    /// A file (PEM) with the authorities that are believed, by its absolute path; nil for those of the system.
    package var authorities: String?
    package var verifies: Bool

    package init(authorities: String? = nil, verifies: Bool = true) {
        self.authorities = authorities
        self.verifies = verifies
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        authorities = try values.decodeIfPresent(String.self, forKey: .authorities)
        verifies = try values.decode(.verifies, default: true)
    }
}
