import MeshAdminAPI
import Testing

@testable import MeshTerminal

@Suite struct TableTests {
    private func instances(_ width: Int?) -> String { TerminalTraits().render(InstanceTable.lines(Example.instances, width: width)) }
    private func traces(_ width: Int?) -> String {
        TerminalTraits().render(TraceTable.lines(Example.traces, now: Example.noon, offset: 0, width: width))
    }

    @Test func instancesAt120() {
        #expect(
            instances(120) == """
                SERVICE     TIER        READY  VERSION  PORT   CPU  MEM  RESTARTS  STATE
                gateway     edge        1/1    a41f     8080   4%   14M  0         ok
                orders      domain      2/2    a41f     auto   12%  38M  0         ok
                catalog/v2  domain      0/1    1.5      41022  -    -    6         crash loop, next try 14s
                  └ exit 1 after 0.3s: "bad schema v7"                             mesh logs catalog/v2 --last-crash
                inventory   enterprise  2/3    a41f     auto   18%  57M  1         starting (1)

                """)
    }

    @Test func whatRanOutOfMemoryIsSaidAlsoOnceItRunsAgain() {
        let hog = InstanceStatus(
            service: "hog", tier: "enterprise", instance: "hog-1", state: .ready, ready: true, restarts: 1,
            lastExit: "killed out of memory: it used 61M, and limits.memory is 38M (SIGKILL) after 3.0s")
        let text = TerminalTraits().render(InstanceTable.lines([hog], width: 120))
        #expect(text.contains("\n  └ killed out of memory: it used 61M, and limits.memory"))
    }

    @Test func instancesAt80() {
        #expect(
            instances(80) == """
                SERVICE     TIER        READY  PORT   CPU  MEM  RESTARTS  STATE
                gateway     edge        1/1    8080   4%   14M  0         ok
                orders      domain      2/2    auto   12%  38M  0         ok
                catalog/v2  domain      0/1    41022  -    -    6         crash loop, next try …
                  └ exit 1 after 0.3s: "bad schema v7"         mesh logs catalog/v2 --last-crash
                inventory   enterprise  2/3    auto   18%  57M  1         starting (1)

                """)
    }

    @Test func instancesAt40() {
        #expect(
            instances(40) == """
                SERVICE     READY  STATE
                gateway     1/1    ok
                orders      2/2    ok
                catalog/v2  0/1    crash loop, next try…
                  └ exit 1 after 0.3s: "bad schema v7"
                inventory   2/3    starting (1)

                """)
    }

    @Test func tracesAt120() {
        #expect(
            traces(120) == """
                ID        WHEN         ROUTE                STATUS  TIME   edge/domain/enterprise  NOTE
                8f3ac1    12:04:09     POST /orders         201     362ms  <1% / 5% / 86%          1 retry inventory
                77be02a0  04-30 12:04  GET /catalog         503     4.0ms  30% / 70% / -           UH
                77be02af  12:04:09     GET /customers/{id}  -       15s    -

                """)
        #expect(traces(nil) == traces(120))
    }

    @Test func tracesAt80() {
        #expect(
            traces(80) == """
                ID        WHEN         ROUTE                STATUS  TIME   NOTE
                8f3ac1    12:04:09     POST /orders         201     362ms  1 retry inventory
                77be02a0  04-30 12:04  GET /catalog         503     4.0ms  UH
                77be02af  12:04:09     GET /customers/{id}  -       15s

                """)
    }

    @Test func noLineIsWiderThanTheTerminal() {
        for width in 40...200 {
            let lines =
                InstanceTable.lines(Example.instances, width: width)
                + TraceTable.lines(Example.traces, now: Example.noon, offset: 0, width: width)
            for line in lines { #expect(line.width <= width, "\(line.plain)") }
        }
    }

    @Test func whatCannotBeCutIsDroppedInOrder() {
        var table = Table([.init("A"), .init("LONG", minimum: 4), .init("B", dropOrder: 1), .init("C", dropOrder: 2)])
        table.add(["1", "abcdefghij", "22", "333"])
        func second(_ width: Int) -> String { table.lines(width: width)[1].plain }
        #expect(second(22) == "1  abcdefghij  22  333")
        #expect(second(16) == "1  abc…  22  333")
        #expect(second(15) == "1  abcdefg…  22")
        #expect(second(10) == "1  abcdef…")
        #expect(second(3) == "1  abc…")
    }

    @Test func idsAreAsShortAsTheyCanBe() {
        #expect(TraceTable.shortIDs(["aaaaaaaa1", "aaaaaaaa2", "bbbbbbbbb"]) == ["aaaaaaaa1", "aaaaaaaa2", "bbbbbb"])
        #expect(TraceTable.shortIDs([]).isEmpty)
        #expect(TraceTable.shortIDs(["abcdefgh", "abcdefgh"]) == ["abcdef", "abcdef"])
    }

    @Test func theWorstStateOfAnInstanceIsTheServices() {
        let states: [(InstanceState, String)] = [
            (.ready, "ok"), (.unready, "not ready (1)"), (.starting, "starting (1)"), (.draining, "draining (1)"),
            (.stopped, "stopped (1)"),
            (.crashLoop, "crash loop"),
        ]
        for (state, text) in states {
            let summary = ServiceSummary.grouped([
                Example.instance("crm", "enterprise", 1), Example.instance("crm", "enterprise", 2, state: state),
            ])
            #expect(summary.map(\.state) == [text])
        }
    }
}
