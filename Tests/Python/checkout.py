"""A program with OpenTelemetry's own SDK: calls through the gateway, reports to the daemon, and prints its trace's id.

checkout.py GATEWAY OTLP
"""
import sys
import urllib.request

from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

gateway, otlp = sys.argv[1:]
provider = TracerProvider(resource=Resource.create({"service.name": "checkout", "service.version": "7"}))
exporter = OTLPSpanExporter(endpoint=otlp + "/v1/traces", compression=Compression.Gzip)
provider.add_span_processor(SimpleSpanProcessor(exporter))
tracer = provider.get_tracer("checkout")
with tracer.start_as_current_span("checkout", kind=trace.SpanKind.SERVER) as span:
    # One of every type that an attribute may have.
    span.set_attribute("cart.items", 3)
    span.set_attribute("cart.total", 12.5)
    span.set_attribute("cart.gift", True)
    span.set_attribute("cart.name", "shop \u00e9")
    span.set_attribute("cart.skus", ["tea-green", "mug-blue"])
    span.set_attribute("cart.counts", [1, 2])
    span.set_attribute("cart.prices", [7.9, 11.5])
    span.set_attribute("cart.flags", [True, False])
    span.add_event("priced", {"cents": 1250})
    with tracer.start_as_current_span("GET", kind=trace.SpanKind.CLIENT):
        headers = {}
        propagate.inject(headers)
        with urllib.request.urlopen(urllib.request.Request(gateway + "/", headers=headers)) as answer:
            answer.read()
print(format(span.get_span_context().trace_id, "032x"))
provider.shutdown()
