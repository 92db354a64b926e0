"""Calls the greeter through a gateway in every way that gRPC knows: grpc_client.py HOST:PORT [AUTHORITY.pem]"""
import queue
import sys

import grpc
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

target = sys.argv[1]
if len(sys.argv) > 2:
    with open(sys.argv[2], "rb") as authority:
        channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(authority.read()))
else:
    channel = grpc.insecure_channel(target)


def method(kind, name, answer):
    return kind("/shop.Greeter/" + name, request_serializer=lambda message: message.SerializeToString(), response_deserializer=answer.FromString)


hello = method(channel.unary_unary, "Hello", StringValue)
fail = method(channel.unary_unary, "Fail", StringValue)
wait = method(channel.unary_unary, "Wait", StringValue)
leavers = method(channel.unary_unary, "Leavers", StringValue)
count = method(channel.unary_stream, "Count", Int32Value)
add = method(channel.stream_unary, "Add", Int32Value)
chat = method(channel.stream_stream, "Chat", StringValue)


def numbers(many):
    return [Int32Value(value=number) for number in range(many)]


for number in range(200):
    assert hello(StringValue(value=str(number)), timeout=60).value == f"hello {number}"
answer, call = hello.with_call(StringValue(value="x" * 1_000_000), timeout=60)
assert len(answer.value) == 1_000_006
assert ("x-initial", "first") in [tuple(pair) for pair in call.initial_metadata()], call.initial_metadata()
assert ("x-trailing", "last") in [tuple(pair) for pair in call.trailing_metadata()], call.trailing_metadata()
together = [hello.future(StringValue(value=str(number)), timeout=60) for number in range(90)]
assert [answer.result().value for answer in together] == [f"hello {number}" for number in range(90)]
print("unary")

assert [answer.value for answer in count(Int32Value(value=5000), timeout=60)] == list(range(5000))
print("stream from the server")

assert add(iter(numbers(5000)), timeout=60).value == sum(range(5000))
print("stream from the client")

# Each is sent only when the one before has been answered: nothing on the way waits for more.
questions = queue.SimpleQueue()
answers = chat(iter(questions.get, None), timeout=60)
for number in range(100):
    questions.put(StringValue(value=f"message {number}"))
    assert next(answers).value == f"MESSAGE {number}"
questions.put(None)
assert list(answers) == []
print("both ways")

try:
    fail(StringValue(value="this"), timeout=60)
    raise SystemExit("no error")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.NOT_FOUND and error.details() == "no such thing: this", error
print("error in trailers only")

try:
    wait(StringValue(), timeout=1)
    raise SystemExit("no deadline")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
leavers(StringValue(), timeout=60)
print("deadline")

leaving = wait.future(StringValue(), timeout=60)
hello(StringValue(value="before"), timeout=60)
leaving.cancel()
leavers(StringValue(), timeout=60)
print("cancellation")
