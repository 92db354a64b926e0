package import NIOCore

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

// The options of NIO that a stream channel has.

extension StreamChannel {
    package func setOption<Option: ChannelOption>(_ option: Option, value: Option.Value) -> EventLoopFuture<Void> {
        if loop.inEventLoop { return loop.makeCompletedFuture { try setNow(option, value: value) } }
        return loop.submit { [self] in try setNow(option, value: value) }
    }

    package func getOption<Option: ChannelOption>(_ option: Option) -> EventLoopFuture<Option.Value> {
        if loop.inEventLoop { return loop.makeCompletedFuture { try getNow(option) } }
        return loop.submit { [self] in try getNow(option) }
    }

    fileprivate func setNow<Option: ChannelOption>(_ option: Option, value: Option.Value) throws {
        guard phase != .closed else { throw ChannelError.ioOnClosedChannel }
        switch option {
        case is ChannelOptions.Types.AutoReadOption: setReadsByItself(value as! Bool)
        case is ChannelOptions.Types.AllowRemoteHalfClosureOption: allowsHalfClosure = value as! Bool
        case is ChannelOptions.Types.WriteBufferWaterMarkOption: waterMark = value as! ChannelOptions.Types.WriteBufferWaterMark
        case is ChannelOptions.Types.MaxMessagesPerReadOption: messagesPerRead = max(1, Int(value as! UInt))
        case let option as ChannelOptions.Types.SocketOption:
            let isSet = withUnsafeBytes(of: value) {
                setsockopt(descriptor, option.optionLevel.rawValue, option.optionName.rawValue, $0.baseAddress, socklen_t($0.count)) == 0
            }
            guard isSet else { throw IOError(errnoCode: errno, reason: "setsockopt") }
        default: throw ChannelError.operationUnsupported
        }
    }

    fileprivate func getNow<Option: ChannelOption>(_ option: Option) throws -> Option.Value {
        guard phase != .closed else { throw ChannelError.ioOnClosedChannel }
        return switch option {
        case is ChannelOptions.Types.AutoReadOption: readsByItself as! Option.Value
        case is ChannelOptions.Types.AllowRemoteHalfClosureOption: allowsHalfClosure as! Option.Value
        case is ChannelOptions.Types.WriteBufferWaterMarkOption: waterMark as! Option.Value
        case is ChannelOptions.Types.MaxMessagesPerReadOption: UInt(messagesPerRead) as! Option.Value
        case is ChannelOptions.Types.BufferedWritableBytesOption: writes.byteCount as! Option.Value
        case let option as ChannelOptions.Types.SocketOption: try socketOption(option)
        default: throw ChannelError.operationUnsupported
        }
    }

    private func socketOption<Value>(_ option: ChannelOptions.Types.SocketOption) throws -> Value {
        try withUnsafeTemporaryAllocation(of: Value.self, capacity: 1) { place in
            var length = socklen_t(MemoryLayout<Value>.size)
            memset(place.baseAddress!, 0, Int(length))
            guard getsockopt(descriptor, option.optionLevel.rawValue, option.optionName.rawValue, place.baseAddress, &length) == 0 else {
                throw IOError(errnoCode: errno, reason: "getsockopt")
            }
            return place[0]
        }
    }
}

/// The options without futures; on the channel's loop only.
struct StreamChannelOptions: NIOSynchronousChannelOptions {
    let channel: StreamChannel

    func setOption<Option: ChannelOption>(_ option: Option, value: Option.Value) throws { try channel.setNow(option, value: value) }
    func getOption<Option: ChannelOption>(_ option: Option) throws -> Option.Value { try channel.getNow(option) }
}
