internal import HTTPTypes
internal import MeshExchange
internal import MeshHTTP
internal import NIOCore

// Answers that no service gave: the mesh's own, and those of a handler in this process.

extension ServerConnection {
    func write(_ answer: MeshAnswer) {
        answerBegan = true
        answeredStatus = answer.status
        if reading == .body, call?.request.framing.isLong ?? true { keepsAlive = false }
        // A client that asked for a tunnel may send on as if it had one.
        if loop.isDraining || call?.request.methodKind == .connect { keepsAlive = false }
        let call = call
        var answer = answer
        answer.creditSpent = call?.creditSpent
        answer.trouble = call?.trouble ?? []
        let identity = call.flatMap { $0.identity.serverSpan == nil ? nil : $0.identity }
        openOutput()
        answer.write(
            identity: identity, route: call?.routeState, service: loop.shared.service, isHead: call?.request.methodKind == .head,
            keepsAlive: keepsAlive, clientVersion: clientVersion, into: &loop.responseOutput)
        // A call that got as far as an exchange has recorded its spans with it.
        if let call, call.destination == nil { call.recordServerSpan(status: answer.status, flag: answer.flag, end: loop.now) }
        answerDone()
    }

    func write(_ head: HandlerHead) {
        answerBegan = true
        answeredStatus = head.status
        framing = .same
        if head.length == nil, head.allowsLength, head.hasBody || clientVersion > 0 {
            framing = clientVersion > 0 ? .chunkedHere : .untilClose
            if framing == .untilClose { keepsAlive = false }
        }
        if reading == .body, call?.request.framing.isLong ?? false { keepsAlive = false }
        if loop.isDraining { keepsAlive = false }
        openOutput()
        loop.responseOutput.writeHead(
            status: head.status, fields: head.fields, length: head.allowsLength ? head.length : nil, chunked: framing == .chunkedHere,
            keepsAlive: keepsAlive, clientVersion: clientVersion, trouble: head.trouble, creditSpent: head.creditSpent, date: &loop.date)
        if !head.hasBody { framing = .same }
    }

    func endAnswer(trailers: HTTPFields?) {
        if framing == .chunkedHere {
            openOutput()
            loop.responseOutput.writeStaticString("0\r\n")
            if let trailers { loop.responseOutput.writeFields(trailers) }
            loop.responseOutput.writeStaticString("\r\n")
        }
        answerDone()
    }

    /// A request that breaks HTTP: answered where that is still possible, and the connection ends.
    func refuse(_ error: MessageError) {
        keepsAlive = false
        if let handler {
            self.handler = nil
            handler.clientLeft()
        }
        if answerBegan {
            abort()
            return
        }
        call?.sourceLeft()
        // Where the next request would begin can no longer be told.
        reading = .head
        answer(MeshAnswer(error))
    }
}
