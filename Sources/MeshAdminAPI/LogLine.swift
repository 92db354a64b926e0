/// One line that an instance wrote.
package struct LogLine: Hashable, Sendable, Codable {
    package enum Stream: String, Hashable, Sendable, Codable {
        case out = "stdout"
        case error = "stderr"
    }

    package var time: Timestamp
    package var service: String
    package var instance: String
    package var stream: Stream
    /// Without its newline.
    package var text: String

    package init(time: Timestamp, service: String, instance: String, stream: Stream = .out, text: String) {
        self.time = time
        self.service = service
        self.instance = instance
        self.stream = stream
        self.text = text
    }
}
