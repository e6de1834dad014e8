"""A server whose every answer a test writes by hand, in this process, on loopback; and who asks it."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from k2repro.engine.backend import Message, Request
from k2repro.engine.endpoint import EndpointBackend
from k2repro.engine.retries import Retries
from k2repro.engine.server import Endpoint


def ask(number=1, **settings):
    """A request for a sum."""
    return Request((Message("user", f"What is {number} + 1?"),), 64, **settings)


def backend(url, **options):
    """A client of a server, soon through with its retries."""
    endpoint = {name: options.pop(name) for name in ("timeout", "extra", "key_env") if name in options}
    options.setdefault("retries", Retries(attempts=4, first=0.01, most=0.02))
    return EndpointBackend(Endpoint(url, "m", **endpoint), **options)


def completion(text, **more):
    """The body of a chat completion."""
    message = {"role": "assistant", "content": text, **more.pop("message", {})}
    return {"choices": [{"message": message, "finish_reason": more.pop("finish", "stop")}], **more}


def chunk(finish=None, **delta):
    """An event of a stream, as text."""
    return "data: " + json.dumps({"choices": [{"delta": delta, "finish_reason": finish}]}) + "\n\n"


@contextlib.contextmanager
def canned(reply, models=()):
    """The base URL of a server and the bodies that it was sent.

    reply: (number of the request from 0, its body) -> (status, headers, content); content is JSON-like,
    text or bytes. models: what it lists.
    """
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            bodies.append(body)
            self.say(*reply(len(bodies) - 1, body))

        def do_GET(self):
            listed = {"data": [{"id": name} for name in models], "has_more": len(models) > 2}
            self.say(200 if models else 500, {}, listed)

        def say(self, status, headers, content):
            raw = content.encode() if isinstance(content, str) else content
            raw = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *words):
            """Nothing: a test's output is the test's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", bodies
    finally:
        server.shutdown()
        server.server_close()
