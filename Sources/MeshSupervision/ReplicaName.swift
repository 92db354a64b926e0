/// How the replicas of a service are called: `orders-1`, and `catalog-v2-1` for one of a version.
package enum ReplicaName {
    package static func make(service: String, version: String?, number: Int) -> String {
        ([service, version].compactMap(\.self) + ["\(number)"]).joined(separator: "-")
    }

    /// The lowest numbers that no replica has.
    package static func free(_ count: Int, service: String, version: String?, taken: Set<String>) -> [Int] {
        Array((1...).lazy.filter { !taken.contains(make(service: service, version: version, number: $0)) }.prefix(count))
    }

    /// By the number at the end, as a person counts: `orders-9` before `orders-10`.
    package static func precedes(_ left: String, _ right: String) -> Bool {
        let (a, b) = (number(of: left), number(of: right))
        return a == b ? left < right : a < b
    }

    /// 0 where there is none.
    package static func number(of name: String) -> Int {
        name.lastIndex(of: "-").flatMap { Int(name[name.index(after: $0)...]) } ?? 0
    }
}
