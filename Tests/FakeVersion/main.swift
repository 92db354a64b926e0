import Foundation
import MeshSidecar

// A version of a service for the tests of rollouts: its health check is answered well, whatever else it does.
//
// fake-version good            answers 200
// fake-version status CODE     answers CODE
// fake-version slow SECONDS    answers 200 after that time
// fake-version hang            never gets ready
let arguments = CommandLine.arguments.dropFirst()
let number = Double(arguments.dropFirst().first ?? "") ?? 0
let mode = arguments.first ?? "good"

if mode == "hang" { while true { sleep(60) } }

await Sidecar.run { request, _ in
    if request.path == Sidecar.healthPath { return .text("ok\n") }
    switch mode {
    case "status": return .text("\(Int(number))\n", status: HTTPResponse.Status(code: Int(number)))
    case "slow": try await Task.sleep(for: .seconds(number))
    default: break
    }
    // What a caller may ask of any version: an answer that takes a while.
    if let seconds = try request.query("s", as: Double.self) { try await Task.sleep(for: .seconds(seconds)) }
    return .text("\(getpid())\n")
}
