"""A collector that reads OTLP by OpenTelemetry's own messages: refuses the first request, then prints each span as a line of JSON.

Its first line is the port that it listens on.

collector.py [CERTIFICATE KEY]        with both, it speaks TLS and asks for a token
"""
import http.server
import json
import ssl
import sys

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse


class Collector(http.server.BaseHTTPRequestHandler):
    refusals = 1

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/otlp/v1/traces" or self.headers["Content-Type"] != "application/x-protobuf":
            return self.answer(404, b"")
        if certificate and self.headers["Authorization"] != "Bearer secret":
            return self.answer(401, b"")
        if Collector.refusals > 0:
            Collector.refusals -= 1
            return self.answer(503, b"")
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            service = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    print(json.dumps(describe(span, service)), flush=True)
        self.answer(200, ExportTraceServiceResponse().SerializeToString())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def describe(span, service):
    return {
        "service": service["service.name"],
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex(),
        "name": span.name,
        "kind": span.kind,
        "status": span.status.code,
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "types": {a.key: a.value.WhichOneof("value") for a in span.attributes},
    }


certificate = sys.argv[1:]
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
if certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    sys.exit(0)
