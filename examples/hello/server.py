"""A service that Gauntlet knows nothing about."""
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together; apart, they wait 40 ms for each other (Nagle)

    def do_GET(self):
        name = self.path.rsplit("/", 1)[-1]
        body = json.dumps({"name": name, "greeting": f"hello, {name}"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Hello).serve_forever()
