import MeshHummingbird

/// Knows the customers: `GET /customers/{id}`.
@main
struct CRMService {
    static func main() async {
        await Sidecar.program { sidecar in
            let directory = try CustomerDirectory.open(folder: sidecar.dataFolder)
            let router = Router(context: MeshRequestContext.self)
            router.get("/customers/:id") { _, context in
                let id = try context.parameters.require("id")
                guard let customer = try await directory.customer(id) else {
                    throw Problem(.notFound, detail: "there is no customer '\(id)'")
                }
                return customer
            }
            sidecar.serve(router)
        }
    }
}

extension CustomerDirectory.Customer: ResponseEncodable {}
