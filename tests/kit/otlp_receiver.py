"""An OTLP receiver that is not ours: Google's protobuf decodes what comes, by the schema of OpenTelemetry.

    python3 otlp_receiver.py PORT FILE

Each point is a line of JSON in FILE, written before the answer. POST /mode sets how the next requests are answered, to a
JSON object: {"status": 503, "headers": {...}, "delay": 0.1, "hang": true, "reject": 3, "message": "...", "bad": "name"};
{} is normal. With "bad", a request with that metric in it is refused. GET /requests has the headers of each request.
"""

import gzip
import json
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

mode = {}
requests = []
lock = threading.Lock()


def double(value):
    """All bits of it."""
    return struct.pack(">d", value).hex()


def any_value(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [kind, [any_value(item) for item in value.array_value.values]]
    if kind == "double_value":
        return [kind, double(value.double_value)]
    if kind == "int_value":
        return [kind, str(value.int_value)]
    return [kind, getattr(value, kind)]


def attributes(pairs):
    names = [pair.key for pair in pairs]
    assert len(names) == len(set(names)), f"an attribute is there twice: {names}"
    assert "" not in names, "an attribute has no name"
    return {pair.key: any_value(pair.value) for pair in pairs}


def points_of(request):
    for of_resource in request.resource_metrics:
        assert of_resource.HasField("resource"), "points have no resource"
        resource = attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_metrics:
            scope = [of_scope.scope.name, of_scope.scope.version, attributes(of_scope.scope.attributes)]
            names = [metric.name for metric in of_scope.metrics]
            assert len(names) == len(set(names)), f"a metric is there twice: {names}"
            for metric in of_scope.metrics:
                assert metric.name != "", "a metric has no name"
                assert metric.WhichOneof("data") == "gauge", f"{metric.name} is no gauge"
                for point in metric.gauge.data_points:
                    kind = point.WhichOneof("value")
                    value = double(point.as_double) if kind == "as_double" else str(point.as_int)
                    yield {
                        "resource": resource,
                        "scope": scope,
                        "metric": metric.name,
                        "description": metric.description,
                        "unit": metric.unit,
                        "time": str(point.time_unix_nano),
                        "start": point.start_time_unix_nano,
                        "value": [kind, value],
                        "attributes": attributes(point.attributes),
                    }



def knows_all(message):
    """Whether the schema has all fields of a message and of those in it."""
    if len(UnknownFieldSet(message)) > 0:
        return False
    for field, value in message.ListFields():
        if field.message_type is not None:
            if not all(knows_all(item) for item in (value if field.is_repeated else [value])):
                return False
    return True


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", kind="application/x-protobuf", headers={}):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if body:
            self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with lock:
            body = json.dumps(requests).encode()
        self.answer(200, body, "application/json")

    def do_POST(self):
        global mode
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/mode":
            mode = json.loads(body)
            return self.answer(200)
        now = mode
        with lock:
            requests.append({"path": self.path, "bytes": len(body), **{k.lower(): v for k, v in self.headers.items()}})
        while now.get("hang") and mode is now:
            time.sleep(0.01)
        if now.get("hang"):
            self.close_connection = True
            return
        # The time is tested: how slow an answer is.
        time.sleep(now.get("delay", 0))
        if "status" in now:
            # A google.rpc.Status with the message alone.
            text = now.get("message", "").encode()
            status = b"\x12" + bytes([len(text)]) + text if text else b""
            return self.answer(now["status"], status, headers=now.get("headers", {}))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        try:
            assert self.headers["content-type"] == "application/x-protobuf", self.headers["content-type"]
            request = ExportMetricsServiceRequest.FromString(body)
            assert knows_all(request), "there is a field that the schema does not have"
            points = list(points_of(request))
        except (DecodeError, AssertionError) as error:
            return self.answer(400, b"\x12" + bytes([min(127, len(str(error)))]) + str(error).encode()[:127])
        if any(point["metric"] == now.get("bad") for point in points):
            return self.answer(400, b"\x12\x0ba bad point")
        with lock, open(sys.argv[2], "a") as file:
            file.write("".join(json.dumps(point) + "\n" for point in points))
        response = ExportMetricsServiceResponse()
        if "reject" in now or "message" in now:
            response.partial_success.rejected_data_points = now.get("reject", 0)
            response.partial_success.error_message = now.get("message", "")
        self.answer(200, response.SerializeToString())


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


Server(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
