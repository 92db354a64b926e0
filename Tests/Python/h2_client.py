"""Speaks HTTP/2 by the h2 package: h2_client.py HOST PORT [AUTHORITY.pem]

Many streams at once, downloads larger than every window, and uploads that wait for the windows of the other side.
"""
import json
import socket
import ssl
import sys

import h2.config
import h2.connection
import h2.events

host, port = sys.argv[1], int(sys.argv[2])
line = socket.create_connection((host, port), timeout=60)
if len(sys.argv) > 3:
    context = ssl.create_default_context(cafile=sys.argv[3])
    context.set_alpn_protocols(["h2"])
    line = context.wrap_socket(line, server_hostname=host)
    assert line.selected_alpn_protocol() == "h2"
connection = h2.connection.H2Connection(config=h2.config.H2Configuration(header_encoding="utf-8"))
connection.initiate_connection()
answers = {}
unsent = {}


def begin(method, path, body=b""):
    stream = connection.get_next_available_stream_id()
    fields = [(":method", method), (":path", path), (":scheme", "https" if len(sys.argv) > 3 else "http"), (":authority", f"{host}:{port}")]
    if body:
        fields.append(("content-length", str(len(body))))
    connection.send_headers(stream, fields, end_stream=not body)
    answers[stream] = {"status": None, "body": b"", "done": False}
    if body:
        unsent[stream] = body
    return stream


def send_on():
    for stream in list(unsent):
        while unsent[stream]:
            room = min(connection.local_flow_control_window(stream), connection.max_outbound_frame_size, len(unsent[stream]))
            if room == 0:
                break
            connection.send_data(stream, unsent[stream][:room], end_stream=room == len(unsent[stream]))
            unsent[stream] = unsent[stream][room:]
        if not unsent[stream]:
            del unsent[stream]
    line.sendall(connection.data_to_send())


def finish():
    while not all(answer["done"] for answer in answers.values()):
        send_on()
        data = line.recv(65536)
        assert data, "the gateway closed the connection"
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                answers[event.stream_id]["status"] = dict(event.headers)[":status"]
            elif isinstance(event, h2.events.DataReceived):
                answers[event.stream_id]["body"] += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                answers[event.stream_id]["done"] = True
            else:
                ended = isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated))
                assert not ended, event
    send_on()


# What the gateway allows is not known before its settings have come.
begin("GET", "/")
finish()
for round in range(5):
    downloads = [begin("GET", "/bytes/65536") for _ in range(50)] + [begin("GET", "/bytes/3000000")]
    uploads = [begin("POST", "/upload", b"x" * 300_000) for _ in range(10)]
    finish()
    assert all(answer["status"] == "200" for answer in answers.values()), {answer["status"] for answer in answers.values()}
    assert [len(answers[stream]["body"]) for stream in downloads] == [65536] * 50 + [3_000_000]
    assert all(json.loads(answers[stream]["body"])["body_bytes"] == 300_000 for stream in uploads)
    answers.clear()
connection.close_connection()
line.sendall(connection.data_to_send())
