import Foundation
import MeshHummingbird

/// Lists and finds products: `GET /catalog`, `/catalog/search?q=`, `/catalog/{sku}`. `--ranked` weighs names in search.
@main
struct CatalogService {
    static func main() async {
        let arguments = CommandLine.arguments.dropFirst()
        if let unknown = arguments.first(where: { $0 != "--ranked" }) {
            FileHandle.standardError.write(Data("error: unknown argument '\(unknown)'\nusage: catalog [--ranked]\n".utf8))
            exit(2)
        }
        await Sidecar.program { sidecar in
            let index = try ProductIndex.open(folder: sidecar.dataFolder, ranked: arguments.contains("--ranked"))
            sidecar.serve(CatalogRoutes(index: index, mesh: sidecar.mesh).router())
        }
    }
}

extension ServiceName {
    static let inventory: Self = "inventory"
}

struct CatalogRoutes: Sendable {
    let index: ProductIndex
    let mesh: Mesh

    func router() -> Router<MeshRequestContext> {
        let router = Router(context: MeshRequestContext.self)
        router.get("/catalog") { _, _ in ItemList(items: try await items(of: try await index.all())) }
        router.get("/catalog/search") { request, _ in
            guard let text = request.uri.queryParameters["q"], !text.isEmpty else {
                throw Problem(.badRequest, detail: "say what to search for", errors: [.init(field: "q", message: "must not be empty")])
            }
            return ItemList(items: try await items(of: try await index.search(String(text))))
        }
        router.get("/catalog/:sku") { _, context in
            let sku = try context.parameters.require("sku")
            guard let product = try await index.product(sku), let item = try await items(of: [product]).first else {
                throw Problem(.notFound, detail: "there is no product '\(sku)'")
            }
            return item
        }
        return router
    }

    private struct ItemList: ResponseEncodable { var items: [Item] }

    struct Item: ResponseEncodable {
        var sku: String
        var name: String
        var priceCents: Int64
        var stock: Int64

        private enum CodingKeys: String, CodingKey {
            case sku, name, stock
            case priceCents = "price_cents"
        }
    }

    private struct StockList: Decodable {
        struct Stock: Decodable {
            var sku: String
            var stock: Int64
            var priceCents: Int64

            private enum CodingKeys: String, CodingKey {
                case sku, stock
                case priceCents = "price_cents"
            }
        }
        var items: [Stock]
    }

    /// The products with what inventory knows of them, in their order.
    private func items(of products: [ProductIndex.Product]) async throws -> [Item] {
        guard !products.isEmpty else { return [] }
        let target: RequestTarget = products.count == 1 ? "/stock?sku=\(products[0].sku)" : "/stock"
        let stock = try await mesh.call(.inventory, .get, target).json(as: StockList.self)
        let bySKU = Dictionary(stock.items.map { ($0.sku, $0) }, uniquingKeysWith: { first, _ in first })
        return products.compactMap { product in
            bySKU[product.sku].map { Item(sku: product.sku, name: product.name, priceCents: $0.priceCents, stock: $0.stock) }
        }
    }
}
