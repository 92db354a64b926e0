internal import MeshHTTP
internal import MeshModel
internal import NIOCore

// `mesh-trouble`: how a tier tells the one above what its answer does not show.

extension TraceTrouble {
    /// What a response from below says; words that a later version may add are passed over.
    init(head: borrowing ResponseHead, _ bytes: ByteBuffer) {
        self = []
        guard let field = head.fields.first(.meshTrouble) else { return }
        bytes.withUnsafeReadableBytes { bytes in
            var words = ListElements(bytes[field.value])
            while let word = words.next() {
                if word.equalsIgnoringCase("error") { insert(.error) }
                if word.equalsIgnoringCase("retried") { insert(.retried) }
            }
        }
    }

    /// The line that says it; empty where there is nothing to say.
    var line: StaticString {
        switch (contains(.error), contains(.retried)) {
        case (false, false): ""
        case (true, false): "mesh-trouble: error\r\n"
        case (false, true): "mesh-trouble: retried\r\n"
        case (true, true): "mesh-trouble: error, retried\r\n"
        }
    }
}
