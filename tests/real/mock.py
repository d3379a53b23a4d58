"""A server that speaks as llm-serve does, and fails as a test wants it to.

The words of the last message choose what comes; pages are served from the tree.
"""
import json
import os
import re
import struct
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from real import ROOT

# As they are served; and the modules of which their scripts are made.
PAGES = [os.path.join(root, "lib", "serve", "page")
         for root in (os.environ.get("BUILD", os.path.join(ROOT, "obj")), ROOT)]
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
POLICY = open(os.path.join(PAGES[0], "policy")).read()
MODULES = POLICY.replace("script-src", "script-src 'self'")	# tests import some by themselves

WORDS = ("The tide comes in and the tide goes out, and the boats at the quay rise and fall "
         "with it as if they breathed. ").split(" ")

MARKDOWN = """# A heading

A paragraph with *emphasis*, **strong words**, `code`, ~~what was~~ and [a link](https://example.org/a).

1. First
2. Second, with parts:
   - one
   - two

> Quoted, **strongly**.

```python
def area(radius):
    # <b>not bold</b>
    return 3.14159 * radius ** 2
```

| Planet | Moons | Radius |
|:--|--:|:-:|
| Mars | 2 | 3390 km |
| Jupiter | 95 | 69911 km |

---
That was all."""

HOSTILE = """<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>

[click](javascript:window.hurt=1) [two](JaVaScRiPt:window.hurt=1) [three](data:text/html,<script>1</script>)
![picture](http://tracker.invalid/x.png) [four](vbscript:x) [five](//host.invalid/x) <javascript:x>
[six](https://example.org/"onmouseover="window.hurt=1) **<svg onload=window.hurt=1>**

```html"><img src=x onerror=window.hurt=1>
<iframe srcdoc="<script>parent.hurt=1</script>"></iframe>
```

| <img src=x onerror=window.hurt=1> | b |
|--|--|
| <a href="javascript:window.hurt=1">x</a> | [y](javascript:window.hurt=1) |

# <style>*{display:none}</style>
"""


class State:
    def __init__(self):
        self.key = None
        self.asked = []			# bodies of chat completions
        self.feedback = []
        self.busy = 0			# how many times 429 comes
        self.models = threading.Event()	# the list of them may be told
        self.models.set()
        self.gone = threading.Event()	# a client went away in the middle of an answer
        self.pause = 0.002
        self.started = time.time() - 5000
        self.total = dict(requests=0, prompt=0, cached=0, generated=0)
        self.running = {}
        self.first = []


def answer_to(text):
    if "markdown" in text:
        return MARKDOWN
    if "hostile" in text:
        return HOSTILE
    if "long" in text:
        return "\n\n".join(" ".join(WORDS) for _ in range(60))
    m = re.search(r"say (.*)", text, re.S)
    return m[1] if m else " ".join(WORDS[:20])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    @property
    def state(self):
        return self.server.state

    def reply(self, status, body, kind="application/json", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for k, v in headers.items():
            self.send_header(k.replace("_", "-"), v)
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, message, **headers):
        self.reply(status, {"error": {"message": message, "type": "invalid_request_error",
                                      "code": None, "param": None}}, **headers)

    def allowed(self):
        key = self.state.key
        if key is None or self.headers.get("Authorization") == f"Bearer {key}":
            return True
        self.refuse(401, "Incorrect API key provided.")
        return False

    def do_GET(self):
        path = self.path.split("?")[0]
        name = {"/": "chat.html", "/status": "status.html"}.get(path, path[1:])
        files = [f for d in PAGES if os.path.isfile(f := os.path.join(d, name))]
        if "/" not in name and files:
            with open(files[0], "rb") as f:
                self.reply(200, f.read(), TYPES[name.rsplit(".", 1)[1]] + "; charset=utf-8",
                           Content_Security_Policy=MODULES, X_Content_Type_Options="nosniff")
        elif not self.allowed():
            pass
        elif path == "/v1/models":
            self.server.state.models.wait(10)
            self.reply(200, {"object": "list", "data": [
                {"id": "SmolLM2-135M-Instruct", "object": "model"},
                {"id": "pirate", "object": "model", "parent": "SmolLM2-135M-Instruct"},
                {"id": "stories260K", "object": "model"}]})
        elif path == "/metrics":
            self.reply(200, self.metrics().encode(), "text/plain; version=0.0.4")
        elif path == "/slots":
            self.reply(200, [dict(v, seconds=time.time() - v["seconds"])
                             for v in list(self.state.running.values())])
        else:
            self.refuse(404, "There is no such path.")

    def metrics(self):
        s = self.state
        lines = [f"llm_requests_total{{route=\"/v1/chat/completions\",code=\"200\"}} {s.total['requests']}",
                 "llm_requests_total{route=\"/metrics\",code=\"200\"} 123456",
                 f"llm_requests_running {len(s.running)}", "llm_requests_waiting 0",
                 f"llm_prompt_tokens_total {s.total['prompt']}",
                 f"llm_cached_tokens_total {s.total['cached']}",
                 f"llm_generated_tokens_total {s.total['generated']}",
                 "llm_cache_tokens 65536", f"llm_cache_tokens_used {s.total['prompt'] % 65536}",
                 "llm_preemptions_total 0", "process_resident_memory_bytes 3.21e+08",
                 f"llm_start_time_seconds {s.started}"]
        for name, values in (("llm_time_to_first_token_seconds", s.first),
                             ("llm_time_per_output_token_seconds", [v / 40 for v in s.first]),
                             ("llm_request_seconds", [v * 12 for v in s.first])):
            lines.append(f"# TYPE {name} histogram")
            for le in (.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, "+Inf"):
                n = sum(v <= float(le) for v in values)
                lines.append(f'{name}_bucket{{le="{le}"}} {n}')
            lines += [f"{name}_sum {sum(values)}", f"{name}_count {len(values)}"]
        return "\n".join(lines) + "\n"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.allowed():
            return
        if self.path == "/v1/feedback":
            self.state.feedback.append(body)
            self.reply(200, {})
        elif self.path != "/v1/chat/completions":
            self.refuse(404, "There is no such path.")
        elif self.state.busy > 0:
            self.state.busy -= 1
            self.refuse(429, "The server is busy.", Retry_After="1")
        else:
            self.state.asked.append(body)
            if body.get("temperature", 0) > 2:
                self.refuse(400, "temperature must be at most 2.")
            else:
                self.chat(body)

    def event(self, data):
        self.piece(b"data: " + (data if isinstance(data, bytes) else json.dumps(
            data, ensure_ascii=False).encode()) + b"\n\n")

    def piece(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def chat(self, body):
        s = self.state
        text = body["messages"][-1]["content"]
        uid = f"chatcmpl-{len(s.asked)}"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        start = time.time()
        s.running[uid] = dict(id=uid, model=body["model"], prompt_tokens=len(text.split()) + 9,
                              generated_tokens=0, seconds=start)
        try:
            self.stream(body, uid, text)
        except (BrokenPipeError, ConnectionResetError):
            s.gone.set()
            self.close_connection = True
        finally:
            s.running.pop(uid)

    def stream(self, body, uid, text):
        s = self.state
        base = dict(id=uid, object="chat.completion.chunk", model=body["model"], created=0)

        def chunk(delta, finish=None):
            return dict(base, choices=[dict(index=0, delta=delta, finish_reason=finish)])

        self.event(chunk({"role": "assistant", "content": None}))
        pieces = re.findall(r"\s*\S+|\s+$", answer_to(text))
        time.sleep(s.pause)
        for i, piece in enumerate(pieces):
            self.event(chunk({"content": piece}))
            s.running[uid]["generated_tokens"] = i + 1
            s.total["generated"] += 1
            if i == 5 and "error" in text:
                self.event({"error": {"message": "Out of cache memory.", "type": "server_error"}})
                return self.piece(b"")
            if i == 5 and "cut" in text:
                time.sleep(0.3)		# what was sent before a reset may be lost with it
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                           struct.pack("ii", 1, 0))
                self.connection.close()
                raise ConnectionResetError
            time.sleep(s.pause)
        self.event(chunk({}, "length" if "limit" in text else "stop"))
        prompt = sum(len(m["content"].split()) + 4 for m in body["messages"])
        cached = prompt // 2 if len(body["messages"]) > 1 else 0
        s.total["requests"] += 1
        s.total["prompt"] += prompt
        s.total["cached"] += cached
        s.first.append(0.02 + 0.001 * len(s.first))
        if body.get("stream_options", {}).get("include_usage"):
            self.event(dict(base, choices=[], usage=dict(
                prompt_tokens=prompt, completion_tokens=len(pieces),
                total_tokens=prompt + len(pieces),
                prompt_tokens_details=dict(cached_tokens=cached))))
        self.event(b"[DONE]")
        self.piece(b"")


class Mock:
    def __init__(self, port=0):
        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.state = self.server.state = State()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
