import ArgumentParser

/// How far to look back, as a person says it: `30s`, `10m`, `2h`, `1d`.
struct TimeBack: ExpressibleByArgument, Hashable {
    var seconds: Int

    init?(argument: String) {
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
        guard let unit = argument.last.flatMap({ units[$0] }), let number = Int(argument.dropLast()), (1...1_000_000).contains(number)
        else { return nil }
        seconds = number * unit
    }
}
