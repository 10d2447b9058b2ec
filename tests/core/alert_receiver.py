"""A real HTTP server on loopback that accepts, refuses, stalls or hangs up as a test wants."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """Collects what is posted; `behave(number)` gives (status, seconds before the answer)."""

    def __init__(self, port=0):
        self.posts = []  # (path, body, status), in order of arrival
        self.behave = lambda _number: (200, 0.0)
        self.headers = {}
        self.busy = self.most_busy = 0
        self.released = threading.Event()
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.take(self, json.loads(body))

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def accepted(self):
        return [body for _, body, status in self.posts if 200 <= status < 300]

    def take(self, handler, body):
        with self._lock:
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
            status, delay_s = self.behave(len(self.posts))
            self.posts.append((handler.path, body, status))
        if delay_s:
            self.released.wait(delay_s)
        with self._lock:
            self.busy -= 1
        if status == 0:  # hang up without a word
            handler.connection.close()
            return
        try:
            handler.send_response(status)
            for name, text in self.headers.items():
                handler.send_header(name, text)
            handler.send_header("Content-Length", "2")
            handler.end_headers()
            handler.wfile.write(b"ok")
        except OSError:  # the sender did not wait
            pass

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def receiving(port=0):
    receiver = Receiver(port)
    try:
        yield receiver
    finally:
        receiver.close()


def wait_for(condition, timeout_s=20.0):
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.01)


class Clock:
    """A clock that a test turns."""

    def __init__(self, now_s=1_800_000_000.0):
        self.now_s = now_s

    def __call__(self):
        return self.now_s

    def advance(self, seconds):
        self.now_s += seconds
