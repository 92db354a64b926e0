/// The stable name of a kind of finding. A code never changes its meaning; one that is no longer needed is not given away again.
package enum FindingCode: String, Sendable, Hashable, CaseIterable {
    // The file.
    case syntaxError = "M001"
    case duplicateKey = "M002"
    case unreadableFile = "M003"
    case includeCycle = "M004"
    case unresolvedVariable = "M005"
    case oversizedDocument = "M006"
    case unknownProfile = "M007"

    // Keys and values.
    case missingKey = "M010"
    case wrongKind = "M011"
    case unknownKey = "M012"
    case wrongValue = "M013"
    case conflictingKeys = "M014"
    case wrongName = "M015"

    // The graph of calls.
    case unknownService = "M020"
    case unknownTier = "M021"
    case callAgainstTiers = "M022"
    case callCycle = "M023"
    case unreachableService = "M024"
    case unreachableRoute = "M025"
    case unusableRoute = "M026"

    // Time and retries.
    case attemptTimeoutTooLong = "M030"
    case childTimeoutTooLong = "M031"
    case retryMultiplication = "M032"
    case retriesExceedDeadline = "M033"
    case retryOfUnsafeMethod = "M034"
    case ejectionRoundsToNothing = "M035"

    // What runs.
    case portConflict = "M040"
    case missingExecutable = "M041"
    case weightsDoNotAddUp = "M042"
    case secretInFile = "M043"
    case keyWithoutEffect = "M044"
    case wrongVariable = "M045"
    case exposedSecret = "M046"
    case moreAvailableThanReplicas = "M047"

    /// Warnings let a mesh start; errors don't.
    package var severity: Severity {
        switch self {
        case .unreachableService, .unreachableRoute, .childTimeoutTooLong, .retryMultiplication, .retriesExceedDeadline,
            .retryOfUnsafeMethod, .ejectionRoundsToNothing, .secretInFile, .keyWithoutEffect, .exposedSecret,
            .moreAvailableThanReplicas:
            .warning
        default: .error
        }
    }
}
