import Glibc
import MeshExchange
import MeshModel
import MeshPolicy
import TestSupport
import Testing

/// What must not grow with the size of a mesh, in processor time of one thread: the least of many rounds, so that what else the
/// machine does is left out.
@Suite("The cost of a request does not grow", .serialized, .calculating)
struct CostTests {
    private static func processorTime() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// How many times as much `large` costs as `small`. The rounds take turns, so that both see the same machine.
    private func ratio(_ large: () -> Void, to small: () -> Void) -> Double {
        var least = (large: Int64.max, small: Int64.max)
        for _ in 0..<40 {
            let start = Self.processorTime()
            large()
            let middle = Self.processorTime()
            small()
            least.large = min(least.large, middle - start)
            least.small = min(least.small, Self.processorTime() - middle)
        }
        return Double(least.large) / Double(least.small)
    }

    /// A disturbed measurement is repeated; a cost that grows fails all of them.
    private func expectSame(_ large: () -> Void, as small: () -> Void) {
        var ratios: [Double] = []
        repeat { ratios.append(ratio(large, to: small)) } while ratios.last! > 1.2 && ratios.count < 4
        #expect(ratios.last! <= 1.2, "\(ratios)")
    }

    @Test("with the routes: ten thousand cost what ten do")
    func routes() throws {
        func router(_ count: Int) throws -> Router {
            let patterns = (0..<count).map { "/service\($0 % 10)/resource\($0)/**" }
            return Router(try patterns.map { Router.Entry(pattern: try RoutePattern($0)) })
        }
        let (large, small) = (try router(10_000), try router(10))
        let method = Array("GET".utf8)
        // The same requests to both.
        let paths = (0..<10).map { Array("/service\($0)/resource\($0)/items/17".utf8) }
        func look(_ router: Router) {
            method.withUnsafeBytes { method in
                for _ in 0..<20 {
                    for path in paths { path.withUnsafeBytes { _ = router.match(RouteSubject(method: method, path: $0)) } }
                }
            }
        }
        expectSame({ look(large) }, as: { look(small) })
    }

    @Test("with the hosts: ten thousand cost what ten do")
    func hosts() throws {
        func router(_ count: Int) throws -> Router {
            Router(
                try (0..<count).map {
                    Router.Entry(pattern: try RoutePattern("/**"), conditions: RouteConditions(host: "shop\($0).example.com"))
                })
        }
        let (large, small) = (try router(10_000), try router(10))
        let bytes = (method: Array("GET".utf8), path: Array("/a/b".utf8))
        let hosts = (0..<10).map { Array("shop\($0).example.com".utf8) }
        func look(_ router: Router) {
            bytes.method.withUnsafeBytes { method in
                bytes.path.withUnsafeBytes { path in
                    for _ in 0..<20 {
                        for host in hosts {
                            host.withUnsafeBytes { _ = router.match(RouteSubject(method: method, path: path, host: $0)) }
                        }
                    }
                }
            }
        }
        expectSame({ look(large) }, as: { look(small) })
    }

    @Test("with the endpoints: a thousand cost what three do")
    func endpoints() {
        let (large, small) = (Destination.make(1000), Destination.make(3))
        var random = RandomSource(seed: 1)
        func call(_ destination: Destination) {
            for _ in 0..<200 {
                var exchange = Exchange(destination: destination, request: RequestFacts(method: .get), received: .zero)
                _ = exchange.began(now: .zero, random: &random)
                exchange.connected(now: .zero)
                _ = exchange.requestSent(now: .zero)
                _ = exchange.responseHead(ResponseFacts(status: 200), now: .zero, random: &random)
                _ = exchange.responseEnded(now: .zero, random: &random)
            }
        }
        expectSame({ call(large) }, as: { call(small) })
    }
}
