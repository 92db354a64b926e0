"""A gRPC server whose messages are protobuf's own wrappers, so that no code has to be generated. Its first line is its port."""
import concurrent.futures
import threading

import grpc
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

cancelled = threading.Semaphore(0)


def hello(request, context):
    context.send_initial_metadata((("x-initial", "first"),))
    context.set_trailing_metadata((("x-trailing", "last"),))
    return StringValue(value="hello " + request.value)


def count(request, context):
    for number in range(request.value):
        yield Int32Value(value=number)


def add(requests, context):
    return Int32Value(value=sum(request.value for request in requests))


def chat(requests, context):
    for request in requests:
        yield StringValue(value=request.value.upper())


def fail(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: " + request.value)


def wait(request, context):
    """Never answers; whoever goes away is counted."""
    gone = threading.Event()
    if not context.add_callback(gone.set):
        gone.set()
    gone.wait(60)
    cancelled.release()
    return StringValue()


def leavers(request, context):
    """Answers when one more has gone away."""
    if not cancelled.acquire(timeout=30):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "nobody has gone away")
    return StringValue()


def handler(kind, function, message):
    return kind(function, request_deserializer=message.FromString, response_serializer=lambda answer: answer.SerializeToString())


handlers = {
    "Hello": handler(grpc.unary_unary_rpc_method_handler, hello, StringValue),
    "Count": handler(grpc.unary_stream_rpc_method_handler, count, Int32Value),
    "Add": handler(grpc.stream_unary_rpc_method_handler, add, Int32Value),
    "Chat": handler(grpc.stream_stream_rpc_method_handler, chat, StringValue),
    "Fail": handler(grpc.unary_unary_rpc_method_handler, fail, StringValue),
    "Wait": handler(grpc.unary_unary_rpc_method_handler, wait, StringValue),
    "Leavers": handler(grpc.unary_unary_rpc_method_handler, leavers, StringValue),
}
server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=16))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Greeter", handlers),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
