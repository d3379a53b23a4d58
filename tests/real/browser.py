"""A browser without a window, by its DevTools protocol over a WebSocket."""
import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request


def found():
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(name):
            return shutil.which(name)
    return None


class Socket:
    """The client's half of RFC 6455, as far as DevTools needs it: text, whole or in parts."""

    def __init__(self, url):
        host, path = url.removeprefix("ws://").split("/", 1)
        name, port = host.split(":")
        self.s = socket.create_connection((name, int(port)), timeout=30)
        self.s.sendall(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
                       f"{base64.b64encode(os.urandom(16)).decode()}\r\n\r\n".encode())
        self.rest = b""
        while b"\r\n\r\n" not in self.rest:
            self.rest += self._more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise ConnectionError(head)

    def _more(self):
        part = self.s.recv(1 << 20)
        if not part:
            raise ConnectionError("the browser has gone")
        return part

    def _take(self, n):
        while len(self.rest) < n:
            self.rest += self._more()
        part, self.rest = self.rest[:n], self.rest[n:]
        return part

    def send(self, text):
        data, mask = text.encode(), os.urandom(4)
        n = len(data)
        head = bytes([0x81]) + (bytes([0x80 | n]) if n < 126 else b"\xfe" + n.to_bytes(2, "big")
                                if n < 65536 else b"\xff" + n.to_bytes(8, "big"))
        pad = (mask * (n // 4 + 1))[:n]
        masked = (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(n, "big")
        self.s.sendall(head + mask + masked)

    def receive(self):
        text = b""
        while True:
            head = self._take(2)
            n = head[1] & 0x7f
            if n > 125:
                n = int.from_bytes(self._take(2 if n == 126 else 8), "big")
            part = self._take(n)
            if head[0] & 0xf == 8:
                raise ConnectionError("the browser has gone")
            if head[0] & 0xf in (0, 1):
                text += part
                if head[0] & 0x80:
                    return text.decode()


class Page:
    """A tab: what is evaluated, pressed and seen in it.  `requests' are the addresses that it
    asked for, `complaints' what it wrote to the console or threw."""

    def __init__(self, url):
        self.ws = Socket(url)
        self.count = 0
        self.requests, self.complaints = [], []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def _event(self, e):
        p = e.get("params", {})
        if e["method"] == "Network.requestWillBeSent":
            self.requests.append(p["request"]["url"])
        elif e["method"] == "Runtime.exceptionThrown":
            d = p["exceptionDetails"]
            self.complaints.append(d.get("exception", {}).get("description") or d["text"])
        elif e["method"] == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning"):
            self.complaints.append(json.dumps(p["args"]))
        elif e["method"] == "Log.entryAdded" and p["entry"]["source"] != "network":
            self.complaints.append(p["entry"]["text"])

    def call(self, method, **params):
        self.count += 1
        self.ws.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while True:
            answer = json.loads(self.ws.receive())
            if answer.get("id") == self.count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            if "method" in answer:
                self._event(answer)

    def eval(self, code):
        """The value of an expression of JavaScript; a promise is waited for."""
        got = self.call("Runtime.evaluate", expression=code, awaitPromise=True,
                        returnByValue=True, userGesture=True)
        if "exceptionDetails" in got:
            raise RuntimeError(got["exceptionDetails"].get("exception", {}).get("description"))
        return got["result"].get("value")

    def until(self, code, seconds=10):
        """Wait until an expression holds; does it?"""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                # An element by its value is {}, which Python takes for nothing.
                if self.eval(f"!!({code})"):
                    return True
            except RuntimeError as e:
                # A page that is being replaced knows nothing.
                if "context" not in str(e):
                    raise
            time.sleep(0.02)
        return False

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.until(f"location.href.startsWith({json.dumps(url)}) && "
                   "document.readyState === 'complete'")

    def reload(self):
        self.eval("window.old = true")
        self.call("Page.reload")
        self.until("!window.old && document.readyState === 'complete'")

    def type(self, text):
        self.call("Input.insertText", text=text)

    def press(self, key, shift=False, ctrl=False):
        code = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowUp": 38, "/": 191}[key]
        text = {"Enter": "\r", "/": "/"}.get(key)
        common = dict(key=key, code=key, windowsVirtualKeyCode=code,
                      modifiers=8 * shift + 2 * ctrl)
        self.call("Input.dispatchKeyEvent", type="keyDown", **common,
                  **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def click(self, selector, nth=0):
        """With the mouse, in the middle of what is there."""
        x, y = self.eval(f"""(() => {{
            const e = [...document.querySelectorAll({json.dumps(selector)})].at({nth});
            e.scrollIntoView({{ block: "nearest" }});
            const b = e.getBoundingClientRect();
            return [b.x + b.width / 2, b.y + b.height / 2];
        }})()""")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, clickCount=1,
                      button="none" if kind == "mouseMoved" else "left")

    def wheel(self, selector, dy):
        x, y = self.eval(f"""(() => {{
            const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect();
            return [b.x + b.width / 2, b.y + b.height / 2];
        }})()""")
        self.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=dy)

    def size(self, width, height, scale=1, mobile=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=scale, mobile=mobile)

    def media(self, **features):
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-" + k.replace("_", "-"), "value": v} for k, v in features.items()])

    def picture(self, path):
        got = self.call("Page.captureScreenshot", format="png")
        with open(path, "wb") as f:
            f.write(base64.b64decode(got["data"]))


class Browser:
    def __init__(self):
        self.dir = tempfile.mkdtemp()
        self.process = subprocess.Popen(
            [found(), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-extensions", "--disable-background-networking", "--disable-sync",
             "--disable-component-update", "--hide-scrollbars", "--disable-dev-shm-usage",
             "--remote-debugging-port=0", f"--user-data-dir={self.dir}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        said = os.path.join(self.dir, "DevToolsActivePort")
        for _ in range(600):
            if os.path.exists(said) and open(said).read().count("\n"):
                break
            time.sleep(0.05)
        self.port = open(said).read().split("\n")[0]

    def page(self):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/json/new?about:blank",
                                         method="PUT")
        with urllib.request.urlopen(request) as answer:
            return Page(json.load(answer)["webSocketDebuggerUrl"])

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
