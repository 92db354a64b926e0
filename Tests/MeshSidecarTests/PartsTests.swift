import Glibc
import HTTPTypes
import MeshTransport
import NIOCore
import Testing

@testable import MeshSidecar

@Suite struct RequestTargetTests {
    @Test func `what is interpolated is encoded, what is written is not`() {
        let id = "1/../2?x#y z%"
        #expect(RequestTarget("/customers/\(id)?q=\(7)").description == "/customers/1%2F..%2F2%3Fx%23y%20z%25?q=7")
        #expect(RequestTarget("/a/b?c=d&e=%20").description == "/a/b?c=d&e=%20")
        #expect(RequestTarget("/tee/\("grün")").description == "/tee/gr%C3%BCn")
        #expect(RequestTarget("/a\(encoded: "/b?c=d")").description == "/a/b?c=d")
    }

    @Test func `nothing can end the request line`() {
        let evil = "/x HTTP/1.1\r\nevil: 1\r\n\r\n"
        #expect(RequestTarget(evil).description == "/x%20HTTP/1.1%0D%0Aevil:%201%0D%0A%0D%0A")
        #expect(RequestTarget("relative").description == "/relative")
        #expect(RequestTarget("*").description == "*")
    }
}

@Suite struct ProblemTests {
    @Test func `a title is the phrase of the status, however the status was made`() {
        #expect(Problem(.notFound).title == "Not Found")
        #expect(Problem(.init(code: 502)).title == "Bad Gateway")
        #expect(Problem(.init(code: 599)).title == "Status 599")
        #expect(Problem(.notFound, title: "No such thing").title == "No such thing")
    }

    @Test func `says all that it has in one line`() {
        let problem = Problem(
            .badRequest, detail: "no", errors: [.init(field: "a", message: "is missing"), .init(field: "b", message: "is odd")])
        #expect("\(problem)" == "400 Bad Request: no: a is missing; b is odd")
    }
}

@Suite struct GateTests {
    @Test func `everyone learns the first value, whenever they ask`() async throws {
        let gate = Gate<Int>()
        let early = (0..<5).map { _ in Task { try await gate.value() } }
        gate.open(1)
        gate.open(2)
        gate.fail(CancellationError())
        for task in early { #expect(try await task.value == 1) }
        #expect(try await gate.value() == 1)
    }

    @Test func `who is cancelled waits no more, and the others go on`() async throws {
        let gate = Gate<Int>()
        let cancelled = Task { try await gate.value() }
        let patient = Task { try await gate.value() }
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        gate.open(3)
        #expect(try await patient.value == 3)
    }
}

@Suite struct WorkCountTests {
    @Test func `waits for all work, but not for longer than it is told to`() async {
        let work = WorkCount()
        #expect(await work.finished(within: .zero))
        work.began()
        work.began()
        #expect(await !work.finished(within: .milliseconds(1)))
        let waiting = Task { await work.finished(within: .seconds(60)) }
        work.ended()
        work.ended()
        #expect(await waiting.value)
        #expect(work.running == 0)
    }
}

@Suite struct LineWriterTests {
    /// A pipe, and what can be read of it at once.
    struct Pipe: ~Copyable {
        let reader: Int32
        let writer: Int32

        init() {
            var ends: [Int32] = [0, 0]
            pipe(&ends)
            (reader, writer) = (ends[0], ends[1])
        }

        func read() -> String {
            var piece = [UInt8](repeating: 0, count: 1 << 20)
            let count = Glibc.read(reader, &piece, piece.count)
            return String(decoding: piece[..<max(0, count)], as: UTF8.self)
        }

        deinit {
            close(reader)
            close(writer)
        }
    }

    @Test func `a full pipe makes nobody wait, and what is lost is counted`() {
        let pipe = Pipe()
        let output = LineWriter(descriptor: pipe.writer)
        let line = String(repeating: "x", count: 4_000)
        for _ in 0..<100 { output.write(line) }
        let lost = output.dropped
        #expect(lost > 0)
        #expect(pipe.read().split(separator: "\n").count == 100 - Int(lost))
        output.write("after")
        #expect(pipe.read() == "\(lost) log lines lost: nobody read them\nafter\n")
        #expect(output.dropped == 0)
    }

    @Test func `a line that no pipe takes whole is cut at a character`() {
        let pipe = Pipe()
        LineWriter(descriptor: pipe.writer).write(String(repeating: "é", count: 4_000))
        let written = pipe.read()
        #expect(written.utf8.count <= LineWriter.longestLine)
        #expect(written.hasSuffix("é...\n"))
    }
}

@Suite struct BodyTests {
    @Test func `a body that is there is read in one piece, and only once`() async throws {
        let body = MeshBody([1, 2, 3])
        var pieces: [[UInt8]] = []
        for try await piece in body { pieces.append(piece) }
        #expect(pieces == [[1, 2, 3]])
        let none = try await MeshBody().collect(upTo: 0)
        #expect(none.isEmpty)
    }

    @Test func `a limit is kept, whether the body is there or comes in pieces`() async throws {
        let whole = MeshBody([1, 2, 3])
        let pieces = MeshBody(.stream(BodyStream(ByteBuffer(bytes: [1, 2]), ByteBuffer(bytes: [3]))))
        for body in [whole, pieces] {
            let error = await #expect(throws: Problem.self) { try await body.collect(upTo: 2) }
            #expect(error?.status == .contentTooLarge)
        }
        let all = try await MeshBody(.stream(BodyStream(ByteBuffer(bytes: [1, 2]), ByteBuffer(bytes: [3])))).collect(upTo: 3)
        #expect(all == [1, 2, 3])
    }
}
