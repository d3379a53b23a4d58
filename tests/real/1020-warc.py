#!/usr/bin/env python3
"""Web archives that wget makes of a local server: records as warcio and fastwarc read them."""
import functools
import glob
import http.server
import json
import os
import shutil
import subprocess
import threading

from real import ROOT, done, ok, skip, tmp


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def crawl(root):
    """Serve a directory on the loopback and have wget archive it, in two forms."""
    handler = functools.partial(Quiet, directory=root)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    for name, more in (("crawl", []), ("plain", ["--no-warc-compression"])):
        subprocess.run(["wget", "-q", "-r", "-l", "4", "--delete-after", f"--warc-file={name}",
                        *more, address], cwd=tmp.path, timeout=300, check=False)
    server.shutdown()
    return [tmp(f) for f in ("crawl.warc.gz", "plain.warc")]


def by_warcio(path):
    from warcio.archiveiterator import ArchiveIterator
    with open(path, "rb") as f:
        for r in ArchiveIterator(f):
            if r.rec_type == "response" and r.http_headers.get_statuscode() == "200" and \
                    "text/html" in (r.http_headers.get_header("Content-Type") or ""):
                yield tuple(r.rec_headers.get_header(n) for n in
                            ("WARC-Record-ID", "WARC-Target-URI", "WARC-Date"))


def by_fastwarc(path):
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    with open(path, "rb") as f:
        for r in ArchiveIterator(f, record_types=WarcRecordType.response):
            if r.http_headers.status_code == 200 and \
                    "text/html" in (r.http_headers.get("Content-Type") or ""):
                yield (r.headers["WARC-Record-ID"], r.headers["WARC-Target-URI"].strip("<>"),
                       r.headers["WARC-Date"])


def main():
    # Pages of text alone: one of links is rightly no record.
    os.makedirs(tmp("root"))
    pages = [p for p in sorted(glob.glob(os.path.join(ROOT, "obj", "bench", "*.deb")))
             if "debian-policy" in p]
    if not pages or shutil.which("wget") is None:
        return skip("web archives of wget", "no wget, or no obj/bench/debian-policy_*.deb")
    subprocess.run(["dpkg-deb", "-x", pages[0], tmp("deb")], check=True)
    shutil.copytree(tmp("deb", "usr", "share", "doc", "debian-policy"), tmp("root", "policy"),
                    ignore_dangling_symlinks=True)
    for path in crawl(tmp("root")):
        name = os.path.basename(path)
        out = subprocess.run(["llm-extract", "-q", "--exclude", "*.pdf", "--stats",
                              tmp("stats"), path], capture_output=True, text=True, check=False)
        got = {(r["id"], r["url"], r["date"]) for r in map(json.loads, out.stdout.splitlines())}
        with open(tmp("stats"), encoding="utf-8") as f:
            empty = json.load(f)["empty"]
        for reader in (by_warcio, by_fastwarc):
            try:
                want = set(reader(path))
            except ImportError as e:
                skip(f"{name}: {reader.__name__}", str(e))
                continue
            ok(len(want) > 20 and got <= want and len(want) - len(got) == empty,
               f"{name}: {len(want)} pages {reader.__name__.replace('_', ' ')}, {empty} empty",
               f"{sorted(got - want)} {sorted(want - got)}")


main()
done()
