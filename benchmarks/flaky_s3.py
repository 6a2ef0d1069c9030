"""An S3 on this machine that fails with a share of all writes: it refuses them, or cuts the connection."""

import random
import socket
import threading
from contextlib import contextmanager


class Flaky:
    """A WSGI application in front of another that refuses or cuts some of what is written to it."""

    def __init__(self, app, share, seed):
        from werkzeug.wsgi import get_input_stream

        self.read = lambda environ: get_input_stream(environ).read()
        self.app, self.share, self.random, self.lock = app, share, random.Random(seed), threading.Lock()
        self.failed = {"500": 0, "503": 0, "cut": 0}

    def __call__(self, environ, start_response):
        with self.lock:
            fails = environ["REQUEST_METHOD"] in ("PUT", "POST") and self.random.random() < self.share
            kind = self.random.choice(list(self.failed))
        if not fails:
            return self.app(environ, start_response)
        self.failed[kind] += 1
        if kind == "cut":
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return []
        self.read(environ)
        names = {"500": "500 Internal Server Error", "503": "503 Service Unavailable"}
        start_response(names[kind], [("Content-Type", "application/xml")])
        return [b"<Error><Code>InternalError</Code><Message>try again</Message></Error>"]


@contextmanager
def serving(share, seed):
    """moto's S3 behind `Flaky` -> the application, and the server's URL. What moto holds is of this process."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    app = Flaky(DomainDispatcherApplication(create_backend_app), share, seed)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield app, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
