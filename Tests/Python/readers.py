"""Reads what `mesh traces export` wrote as others do, and prints the spans that each form tells, all in the same shape.

readers.py otlp|zipkin|jaeger|chrome FILE

OTLP is read by OpenTelemetry's own messages, Zipkin is held against the schema of its API (zipkin-v2.schema.json), Jaeger against what
its viewer asks for. Chrome's events are read by chrometrace, and trace-lanefix says whether Perfetto would drop one of them. A file that
breaks a rule ends the program with the rule.
"""
import base64
import contextlib
import dataclasses
import io
import json
import pathlib
import sys
import tempfile

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def demand(holds, rule):
    if not holds:
        sys.exit("broken rule: " + rule)


def otlp(document):
    # OTLP writes ids in hexadecimal where protobuf's JSON has base64; all else is protobuf's.
    def convert(value):
        if isinstance(value, list):
            return [convert(element) for element in value]
        if isinstance(value, dict):
            ids = {"traceId", "spanId", "parentSpanId"}
            return {k: base64.b64encode(bytes.fromhex(v)).decode() if k in ids else convert(v) for k, v in value.items()}
        return value

    request = json_format.ParseDict(convert(document), ExportTraceServiceRequest())
    for resource in request.resource_spans:
        service = {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                demand(len(span.trace_id) == 16 and any(span.trace_id), "a trace id has 16 bytes")
                demand(len(span.span_id) == 8 and any(span.span_id), "a span id has 8 bytes")
                demand(len(span.parent_span_id) in (0, 8), "a parent's id has 8 bytes")
                demand(span.end_time_unix_nano >= span.start_time_unix_nano > 0, "a span ends after its start")
                demand(span.kind != 0, "a span has a kind")
                keys = [a.key for a in span.attributes]
                demand(len(set(keys)) == len(keys), "attribute keys are unique")
                yield {
                    "id": span.span_id.hex(), "trace": span.trace_id.hex(), "parent": span.parent_span_id.hex(), "name": span.name,
                    "service": service, "start": span.start_time_unix_nano // 1000,
                    "duration": (span.end_time_unix_nano - span.start_time_unix_nano) // 1000, "error": span.status.code == 2,
                    "types": {a.key: kind_of(a.value) for a in span.attributes}, "events": len(span.events),
                }


def kind_of(value):
    kind = value.WhichOneof("value")
    if kind != "array_value":
        return kind
    return "array of " + ",".join(sorted({kind_of(element) for element in value.array_value.values}))


def zipkin(document):
    import jsonschema

    schema = json.loads(pathlib.Path(__file__).with_name("zipkin-v2.schema.json").read_text())
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(document)
    for span in document:
        yield {
            "id": span["id"], "trace": span["traceId"], "parent": span.get("parentId", ""), "name": span["name"],
            "service": span["localEndpoint"]["serviceName"], "start": span["timestamp"], "duration": span["duration"],
            "error": "error" in span["tags"], "events": len(span.get("annotations", [])),
        }


def jaeger(document):
    demand(set(document) >= {"data"}, "an answer of Jaeger's API has data")
    kinds = {"string": str, "bool": bool, "int64": int, "float64": (int, float)}
    for trace in document["data"]:
        for process in trace["processes"].values():
            demand(isinstance(process["serviceName"], str) and process["serviceName"], "a process has a service")
            check_tags(process["tags"], kinds)
        for span in trace["spans"]:
            demand(span["traceID"] == trace["traceID"], "a span stands in its own trace")
            demand(span["processID"] in trace["processes"], "a span names a process of its trace")
            demand(isinstance(span["startTime"], int) and isinstance(span["duration"], int), "times are whole microseconds")
            check_tags(span["tags"], kinds)
            for log in span["logs"]:
                demand(isinstance(log["timestamp"], int), "a log has a time")
                check_tags(log["fields"], kinds)
            for reference in span["references"]:
                demand(reference["refType"] in ("CHILD_OF", "FOLLOWS_FROM"), "a reference has a known type")
            parents = [r["spanID"] for r in span["references"] if r["refType"] == "CHILD_OF"]
            demand(len(parents) <= 1, "a span has one parent at most")
            tags = {tag["key"]: tag["value"] for tag in span["tags"]}
            yield {
                "id": span["spanID"], "trace": span["traceID"], "parent": parents[0] if parents else "", "name": span["operationName"],
                "service": trace["processes"][span["processID"]]["serviceName"], "start": span["startTime"], "duration": span["duration"],
                "error": tags.get("error", False), "events": len(span["logs"]),
            }


def check_tags(tags, kinds):
    for tag in tags:
        demand(set(tag) == {"key", "type", "value"}, "a tag is key, type and value")
        demand(tag["type"] in kinds, "a tag's type is one of " + ", ".join(kinds))
        demand(isinstance(tag["value"], kinds[tag["type"]]), f"the value of {tag['key']} is of its type")
        demand(tag["type"] == "bool" or not isinstance(tag["value"], bool), f"the value of {tag['key']} is of its type")


def chrome(document):
    import chrometrace

    services, events = {}, []
    for object in document["traceEvents"]:
        event = chrometrace.TraceEvent.from_dict(object)
        event = dataclasses.replace(event, event_type=chrometrace.TraceEventType(event.event_type))
        demand(object.items() <= event.to_dict().items(), "an event says nothing that its reader does not know")
        demand(isinstance(event.process_id, int) and isinstance(event.thread_id, int), "pid and tid are numbers")
        if event.event_type == chrometrace.TraceEventType.METADATA:
            demand(event.name in ("process_name", "process_sort_index"), "metadata is of a known kind")
            if event.name == "process_name":
                services[event.process_id] = event.args["name"].split(" / ")[1].split(" ")[0]
            continue
        demand(event.event_type == chrometrace.TraceEventType.COMPLETE, "an event is complete")
        demand(event.duration_us >= 0 and event.timestamp_us >= 0, "times are not negative")
        events.append(event)
    demand(not crossing(document), "the events of a lane nest, or Perfetto drops some")
    for event in events:
        yield {
            "id": event.args["span_id"], "trace": event.args["trace_id"], "name": event.name, "service": services[event.process_id],
            "start": int(event.timestamp_us), "duration": int(event.duration_us),
        }


def crossing(document):
    """The events that Perfetto, which rounds each time to a nanosecond for itself, would find neither apart nor one within the other."""
    import trace_lanefix

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        given, mended = pathlib.Path(folder, "given"), pathlib.Path(folder, "mended")
        given.write_text(json.dumps(document))
        trace_lanefix.fix_overlaps(str(given), str(mended), snap_threshold_us=0)
        after = json.loads(mended.read_text())
    def times(document):
        return {
            (e["args"]["trace_id"], e["args"]["span_id"]): (e["pid"], e["tid"], e["ts"], e["dur"])
            for e in document["traceEvents"] if e["ph"] == "X"
        }
    return times(document).items() - times(after).items()


form, path = sys.argv[1:]
with open(path) as file:
    print(json.dumps(list({"otlp": otlp, "zipkin": zipkin, "jaeger": jaeger, "chrome": chrome}[form](json.load(file)))))
