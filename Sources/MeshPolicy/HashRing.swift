package import MeshModel

/// Leads the same value to the same endpoint, and moves only an endpoint's own share when it comes or goes.
///
/// Every endpoint has points on a ring, as many as its weight asks for; a value goes to the first point at or after its hash. An
/// endpoint that has more than its fair share of the calls under way is passed over.
/// Source: Karger and others, "Consistent Hashing and Random Trees" (1997); for the bound, Mirrokni, Thorup and Zadimoghaddam,
/// "Consistent Hashing with Bounded Loads" (2016), with c = 1.25.
package struct HashRing: Sendable {
    package static let balance = 1.25
    /// Of an endpoint of the greatest weight: its share is off by about a tenth.
    package static let pointsPerEndpoint = 128

    private struct Point: Sendable {
        var hash: UInt64
        var member: Int32
    }
    private var points: [Point] = []

    /// - Parameter members: `place` is what the ring answers with.
    package init(_ members: [(place: Int32, id: InstanceID, weight: Double)]) {
        let heaviest = members.map(\.weight).max() ?? 1
        for member in members where member.weight > 0 {
            let count = max(1, Int(Double(Self.pointsPerEndpoint) * member.weight / heaviest))
            for number in 0..<count {
                let hash = Self.mix(Self.mix(member.id.high ^ Self.mix(member.id.low)) &+ UInt64(number))
                points.append(Point(hash: hash, member: member.place))
            }
        }
        points.sort { $0.hash == $1.hash ? $0.member < $1.member : $0.hash < $1.hash }
    }

    /// The first endpoint at or after `hash` that may be taken.
    package func member(for hash: UInt64, where mayBeTaken: (Int32) -> Bool) -> Int32? {
        guard !points.isEmpty else { return nil }
        var low = 0
        var high = points.count
        while low < high {
            let middle = (low + high) / 2
            if points[middle].hash < hash { low = middle + 1 } else { high = middle }
        }
        for step in points.indices {
            let index = low + step
            let member = points[index < points.count ? index : index - points.count].member
            if mayBeTaken(member) { return member }
        }
        return nil
    }

    /// How many calls one endpoint may have under way, the next one included: `ceil(c * (total + 1) / endpoints)`.
    package static func bound(underWay total: Int, endpoints: Int) -> Int {
        Int((balance * Double(total + 1) / Double(max(endpoints, 1))).rounded(.up))
    }

    /// FNV-1a over bytes, and the finaliser of SplitMix64, since similar values must not lie side by side.
    package static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
        mix(bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 })
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9e37_79b9_7f4a_7c15
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
