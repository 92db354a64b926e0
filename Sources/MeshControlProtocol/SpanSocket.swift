/// Where the daemon takes in the memory of spans: a socket of its own beside that of the control protocol, since descriptors travel on it.
///
/// An instance sends one message there, its `SpanOrigin`, with the descriptor of its memory beside it, and single bytes when a ring
/// fills up; the daemon says nothing. The end of the connection is the end of the process.
package enum SpanSocket {
    package static let name = "spans.sock"

    package static func path(beside control: String) -> String {
        guard let slash = control.lastIndex(of: "/") else { return name }
        return control[...slash] + name
    }
}
