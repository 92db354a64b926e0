internal import HTTPTypes
internal import MeshHTTP
internal import MeshModel
internal import NIOCore

/// The fields of a request, which become those of user code when it asks for them for the first time: few handlers do, and a string for
/// each name and value is a quarter of what a short answer costs.
final class InboundFields: Sendable {
    private enum State {
        case unread(ByteBuffer, [Field])
        case read(HTTPFields)
    }

    private let state: Guarded<State>

    init(_ fields: HTTPFields) { state = Guarded(.read(fields)) }

    /// - Parameter head: where the fields of the list lie.
    init(_ list: borrowing FieldList, in head: ByteBuffer, dropping: FieldSet) {
        var kept: [Field] = []
        kept.reserveCapacity(list.count)
        for index in list.indices where list[index].isKept(dropping) { kept.append(list[index]) }
        state = Guarded(.unread(head, kept))
    }

    var fields: HTTPFields {
        state.withLock { state in
            switch state {
            case .read(let fields): return fields
            case .unread(let head, let kept):
                let fields = head.withUnsafeReadableBytes { HTTPFields(kept, $0) }
                state = .read(fields)
                return fields
            }
        }
    }
}
