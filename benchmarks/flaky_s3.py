"""An S3 on this machine that fails with a share of all requests: it refuses them, or cuts the connection."""

import random
import socket
import threading
from contextlib import contextmanager

READS, WRITES = ("GET", "HEAD"), ("PUT", "POST")


class Flaky:
    """A WSGI application in front of another that lets a share of all writes fail, and where `reads` of all reads.

    failed: how often it was so. 500 and 503 refuse; cut ends the connection, before anything is done or, for the answer
    that is lost, after it; half ends it in the middle of what is read.
    """

    def __init__(self, app, share, seed, reads=False):
        from werkzeug.wsgi import get_input_stream

        self.read = lambda environ: get_input_stream(environ).read()
        self.app, self.share, self.reads = app, share, reads
        self.random, self.lock = random.Random(seed), threading.Lock()
        self.failed = {"500": 0, "503": 0, "cut": 0, "lost": 0} | ({"half": 0} if reads else {})

    def __call__(self, environ, start_response):
        kind = self.draw(environ["REQUEST_METHOD"])
        if kind in ("500", "503"):
            return self.refuse(environ, start_response, kind)
        if kind == "cut":
            return self.end(environ)
        if kind == "lost":
            list(self.app(environ, lambda status, headers, *more: None))
            return self.end(environ)
        answer = self.app(environ, start_response)
        return self.half(environ, b"".join(answer)) if kind == "half" else answer

    def draw(self, method):
        """How a request fails, or None."""
        with self.lock:
            if method not in WRITES + READS * self.reads or self.random.random() >= self.share:
                return None
            kind = self.random.choice(["500", "503", "cut", "half" if method in READS else "lost"])
            self.failed[kind] += 1
            return kind

    def refuse(self, environ, start_response, kind):
        """Read all, and say no."""
        self.read(environ)
        names = {"500": "500 Internal Server Error", "503": "503 Service Unavailable"}
        start_response(names[kind], [("Content-Type", "application/xml")])
        return [b"<Error><Code>InternalError</Code><Message>try again</Message></Error>"]

    def half(self, environ, body):
        """The first half of an answer."""
        yield body[: len(body) // 2]
        self.end(environ)

    def end(self, environ):
        """Cut the connection -> nothing to answer."""
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return []


@contextmanager
def serving(share, seed, reads=False):
    """moto's S3 behind `Flaky` -> the application, and the server's URL. What moto holds is of this process."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    app = Flaky(DomainDispatcherApplication(create_backend_app), share, seed, reads)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield app, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
