#!/usr/bin/env python3
"""llm-serve under the whole load: 50,000 requests, 1,000 idle streams, 500 that drip.

The model is tiny and random, so what is measured is all but the model.  REQUESTS sets
another number of them.
"""
import os
import re
import subprocess
import sys
import time

from real import ROOT, done, ok, run, skip, tmp

LOAD = os.path.join(os.environ.get("BUILD", os.path.join(ROOT, "obj")), "tests", "serve", "load")
REQUESTS = int(os.environ.get("REQUESTS", 50000))
TEMPLATE = ("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
            "{% if add_generation_prompt %}assistant:{% endif %}")


def make_model():
    with open(tmp("text.jsonl"), "wb") as f:
        f.write(run("llm-extract", "-q", os.path.join(ROOT, "man"))[:400000].rpartition(b"\n")[0])
    run("llm-vocab", "-q", "-n", "512", "-o", tmp("tok"), tmp("text.jsonl"))
    run("llm-init", "-q", "-a", "llama", "-m", tmp("tok"), "--layers", "5", "--width", "64",
        "--heads", "8", "--kv-heads", "4", "--ffn", "172", "--context", "512", "-o", tmp("model"))
    with open(tmp("model", "chat_template.jinja"), "w", encoding="utf-8") as f:
        f.write(TEMPLATE)


class Server:
    def __init__(self, *options):
        self.p = subprocess.Popen(["llm-serve", "-q", "-m", tmp("model"), "--port", "0",
                                   "--port-file", tmp("port"), *options])
        while not os.path.exists(tmp("port")):
            if self.p.poll() is not None:
                sys.exit("llm-serve does not start")
            time.sleep(0.05)
        with open(tmp("port"), encoding="ascii") as f:
            self.port = f.read().strip()
        os.remove(tmp("port"))

    def load(self, what, *options, seconds=None):
        start = time.monotonic()
        p = subprocess.run([LOAD, "--pid", str(self.p.pid), *options, self.port], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        took = time.monotonic() - start
        for line in p.stdout.splitlines():
            print("#", line)
        ok(p.returncode == 0, what, p.stdout)
        if seconds:
            found = re.search(r"^seconds\t([0-9.]+)", p.stdout, re.M)
            took = float(found[1]) if found else took
            ok(took < seconds, f"in {took:.0f} s", f"{seconds} s was promised")

    def end(self):
        self.p.terminate()
        ok(self.p.wait() == 0, "it ends with 0")


def main():
    if not os.access(LOAD, os.X_OK):
        skip("a server under load", "tests/serve/load is not built")
        done()
        return
    make_model()
    server = Server("--waiting", "4096", "--patience", "5s")
    server.load(f"{REQUESTS} requests, 256 at once", "-n", str(REQUESTS), "-c", "256",
                "--distinct", "256", "--patience", "120s", seconds=600 * REQUESTS / 50000)
    server.load("2,000 at once", "-n", "6000", "-c", "2000", "-s", "2", "--patience", "300s",
                "--growth", "0.5")
    server.load("1,000 streams that nobody reads, in 200 MB", "-n", "0", "--bad", "0", "--idle",
                "1000", "--patience", "300s")
    server.load("500 requests that drip", "-n", "0", "--bad", "0", "--drips", "500", "--drip-time",
                "20s")
    server.end()
    done()


main()
