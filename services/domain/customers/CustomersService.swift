import MeshHummingbird

/// Shows a customer's profile: `GET /customers/{id}`, composed of what crm and the ledger know.
@main
struct CustomersService {
    static func main() async {
        let router = Router(context: MeshRequestContext.self)
        router.get("/customers/:id") { _, context in
            let id = try context.parameters.require("id")
            let mesh = context.mesh
            async let profile = mesh.call(.crm, .get, "/customers/\(id)")
            async let account = mesh.call(.ledger, .get, "/accounts/\(id)")
            guard try await profile.status != .notFound else { throw Problem(.notFound, detail: "there is no customer '\(id)'") }
            let person = try await profile.json(as: Profile.self)
            let balance = try await account.json(as: Account.self)
            return Customer(id: person.id, name: person.name, email: person.email, balanceCents: balance.balanceCents)
        }
        await Sidecar.run(router: router)
    }

    private struct Profile: Decodable {
        var id: String
        var name: String
        var email: String
    }

    private struct Account: Decodable {
        var balanceCents: Int64

        private enum CodingKeys: String, CodingKey {
            case balanceCents = "balance_cents"
        }
    }

    private struct Customer: ResponseEncodable {
        var id: String
        var name: String
        var email: String
        var balanceCents: Int64

        private enum CodingKeys: String, CodingKey {
            case id, name, email
            case balanceCents = "balance_cents"
        }
    }
}

extension ServiceName {
    static let crm: Self = "crm"
    static let ledger: Self = "ledger"
}
