import Glibc
import MeshModel
import MeshSupervision
import Testing

@Suite struct ListeningSocketTests {
    @Test func aPortInUseNamesItsHolder() throws {
        let first = try ListeningSocket.bind(.tcp(host: "127.0.0.1", port: 0))
        guard case .tcp("127.0.0.1", let port) = first.address else { throw EventReader.Missing(what: "port") }
        let error = #expect(throws: ListenError.self) { try ListeningSocket.bind(first.address) }
        #expect(error?.isInUse == true)
        #expect(error?.holder?.contains("(pid \(getpid()))") == true)
        #expect(error?.description.hasPrefix("port \(port) is in use by ") == true)
        #expect(error?.description.contains("listen on another port") == true)
    }

    @Test func aStaleUnixSocketIsReplacedAndALiveOneIsNot() throws {
        let slot = try TestSlot()
        let address = SocketAddress.unix(path: slot.folder.serviceSocket)
        do { _ = try ListeningSocket.bind(address) }
        #expect(Files.exists(slot.folder.serviceSocket))
        let second = try ListeningSocket.bind(address)
        #expect(throws: ListenError.self) { try ListeningSocket.bind(address) }
        #expect(second.address == address)
    }

    @Test func whatCannotBeListenedOnIsSaid() throws {
        let long = "/tmp/" + String(repeating: "x", count: 120)
        let tooLong = #expect(throws: ListenError.self) { try ListeningSocket.bind(.unix(path: long)) }
        #expect(tooLong?.description.contains("107 bytes") == true)
        let foreign = #expect(throws: ListenError.self) { try ListeningSocket.bind(.tcp(host: "192.0.2.1", port: 0)) }
        #expect(foreign?.description.contains("no address of this machine") == true)
    }

    @Test func localhostAndIPv6Work() throws {
        #expect(try ListeningSocket.bind(.tcp(host: "localhost", port: 0)).address.description.hasPrefix("127.0.0.1:"))
        if Files.exists("/proc/net/if_inet6"), let socket = try? ListeningSocket.bind(.tcp(host: "::1", port: 0)) {
            #expect(socket.address.description.hasPrefix("[::1]:"))
        }
    }
}
