import MeshModel
import Testing

@Suite("Base 16")
struct HexadecimalTests {
    @Test("writes what it reads", arguments: [0, 1, 0xdead_beef, UInt64.max, 0x0123_4567_89ab_cdef])
    func roundTrip(value: UInt64) {
        let text = Hexadecimal.string(value)
        #expect(text.utf8.count == 16 && text == text.lowercased())
        #expect(Array(text.utf8).withUnsafeBytes { Hexadecimal.read64($0) } == value)
    }

    @Test(
        "reads sixteen digits and nothing else",
        arguments: [
            ("0000000000000000", true), ("000000000000000", false), ("00000000000000000", false), ("00000000000000g0", false),
            ("0x00000000000000", false), ("", false),
        ])
    func shape(row: (text: String, isRead: Bool)) {
        #expect((Array(row.text.utf8).withUnsafeBytes { Hexadecimal.read64($0) } != nil) == row.isRead)
    }

    @Test("reads upper case only where that is allowed")
    func upperCase() {
        Array("ABCDEF0000000000".utf8).withUnsafeBytes { bytes in
            #expect(Hexadecimal.read64(bytes) == nil)
            #expect(Hexadecimal.read64(bytes, anyCase: true) == 0xabcd_ef00_0000_0000)
        }
    }
}
