import Foundation
import MeshSidecar

// A version of a service for the tests of rollouts: its health check is answered well, whatever else it does.
//
// fake-version good            answers 200
// fake-version status CODE     answers CODE
// fake-version slow SECONDS    answers 200 after that time
// fake-version hang            never gets ready
// fake-version bounded SLOTS SECONDS
//                              answers 200 after that time, to so many at once; the others wait for their turn
let arguments = CommandLine.arguments.dropFirst()
let number = Double(arguments.dropFirst().first ?? "") ?? 0
let mode = arguments.first ?? "good"

if mode == "hang" { while true { sleep(60) } }

/// What a service can do at once: a pool of connections, or of cores.
actor Slots {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ count: Int) { free = count }

    func take() async {
        guard free == 0 else {
            free -= 1
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    func giveBack() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}

let slots = Slots(Int(number))

await Sidecar.run { request, _ in
    if request.path == Sidecar.healthPath { return .text("ok\n") }
    switch mode {
    case "status": return .text("\(Int(number))\n", status: HTTPResponse.Status(code: Int(number)))
    case "slow": try await Task.sleep(for: .seconds(number))
    case "bounded":
        await slots.take()
        // Somebody who has left does not make the work shorter.
        await Task { try? await Task.sleep(for: .seconds(Double(arguments.last ?? "") ?? 0)) }.value
        await slots.giveBack()
    default: break
    }
    // What a caller may ask of any version: an answer that takes a while.
    if let seconds = try request.query("s", as: Double.self) { try await Task.sleep(for: .seconds(seconds)) }
    return .text("\(getpid())\n")
}
