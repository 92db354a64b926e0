import Foundation
import MeshModel
import Testing

@Suite("Identifiers")
struct IdentifierTests {
    @Test(
        "a trace id is 32 lower-case digits, not all zero",
        arguments: [
            ("4bf92f3577b34da6a3ce929d0e0e4736", true), ("00000000000000000000000000000001", true),
            ("00000000000000000000000000000000", false),
            ("4BF92F3577B34DA6A3CE929D0E0E4736", false), ("4bf92f3577b34da6a3ce929d0e0e473", false),
            ("4bf92f3577b34da6a3ce929d0e0e4736a", false), ("", false),
        ])
    func traceID(row: (text: String, isRead: Bool)) {
        let id = TraceID(row.text)
        #expect((id != nil) == row.isRead)
        if let id { #expect(id.description == row.text) }
    }

    @Test("random ids are never zero, and differ")
    func random() {
        var random = RandomSource(seed: 1)
        var seen = Set<TraceID>()
        for _ in 0..<1000 {
            let trace = TraceID.random(&random)
            #expect(trace.high | trace.low != 0 && SpanID.random(&random).value != 0)
            seen.insert(trace)
        }
        #expect(seen.count == 1000)
    }

    @Test("an instance id is a UUID of version 4, and reads in either case")
    func instance() throws {
        var random = RandomSource(seed: 1)
        for _ in 0..<100 {
            let id = InstanceID.random(&random)
            let uuid = try #require(UUID(uuidString: id.description), "Foundation reads it too")
            #expect(uuid.uuid.6 >> 4 == 4 && uuid.uuid.8 >> 6 == 0b10)
            #expect(InstanceID(id.description) == id && InstanceID(uuid.uuidString) == id)
        }
    }

    @Test(
        "what is no UUID is no instance id",
        arguments: [
            "", "x", "0123456789abcdef0123456789abcdef", "01234567-89ab-4def-8123-456789abcdeg", "01234567-89ab-4def-8123-456789abcde",
        ])
    func notAnInstance(text: String) { #expect(InstanceID(text) == nil) }

    @Test("travels in JSON as a string, and says what it could not read")
    func json() throws {
        let id = try #require(InstanceID("01234567-89ab-4def-8123-456789abcdef"))
        #expect(String(decoding: try JSONEncoder().encode([id]), as: UTF8.self) == "[\"01234567-89ab-4def-8123-456789abcdef\"]")
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([InstanceID].self, from: Data("[\"nonsense\"]".utf8)) }
    }
}
