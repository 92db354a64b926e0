/// JSON that is written in the order in which it is put together.
indirect enum JSONText {
    case object([(String, JSONText)])
    case array([JSONText])
    case string(String)
    case integer(Int64)
    case double(Double)
    case bool(Bool)

    var bytes: [UInt8] {
        var output: [UInt8] = []
        write(to: &output)
        return output
    }

    private func write(to output: inout [UInt8]) {
        switch self {
        case .object(let members):
            output.append(UInt8(ascii: "{"))
            for (index, (key, value)) in members.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                Self.write(key, to: &output)
                output.append(UInt8(ascii: ":"))
                value.write(to: &output)
            }
            output.append(UInt8(ascii: "}"))
        case .array(let elements):
            output.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                element.write(to: &output)
            }
            output.append(UInt8(ascii: "]"))
        case .string(let text): Self.write(text, to: &output)
        case .integer(let number): output.append(contentsOf: "\(number)".utf8)
        // JSON has no word for these; OTLP's JSON takes them as text.
        case .double(let number) where !number.isFinite:
            Self.write(number.isNaN ? "NaN" : number < 0 ? "-Infinity" : "Infinity", to: &output)
        case .double(let number): output.append(contentsOf: "\(number)".utf8)
        case .bool(let bool): output.append(contentsOf: (bool ? "true" : "false").utf8)
        }
    }

    private static func write(_ text: String, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                output.append(UInt8(ascii: "\\"))
                output.append(byte)
            case 0x0a: output.append(contentsOf: #"\n"#.utf8)
            case 0x0d: output.append(contentsOf: #"\r"#.utf8)
            case 0x09: output.append(contentsOf: #"\t"#.utf8)
            case 0..<0x20:
                output.append(contentsOf: #"\u00"#.utf8)
                output.append(byte >> 4 + UInt8(ascii: "0"))
                output.append(byte & 0xf < 10 ? byte & 0xf + UInt8(ascii: "0") : byte & 0xf - 10 + UInt8(ascii: "a"))
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}
