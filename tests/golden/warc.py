#!/usr/bin/env python3
"""Small web archives, written by warcio, and what it reads of them.

Run in a place that has warcio: tests/golden/warc.py, from the top directory.
tests/data/warc/good/*.warc* and *.arc* are the archives; x.warc.tsv above them has the
identifier, address, date and length of the payload of each response in x.warc.
"""
import gzip
import io
import os
import zlib

from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

HERE = "tests/data/warc/good"
PAGE = """<!DOCTYPE html><html lang="en"><head><title>Tides</title>
<meta property="article:published_time" content="2021-03-04T05:06:07+01:00"></head>
<body><nav><a href="/">Home</a></nav><main><h1>Tides</h1><p>The sea comes and goes
twice a day, and the moon is the reason for most of it.</p></main></body></html>"""
RUSSIAN = ("<html><head><title>Море</title></head><body><p>Вода приходит и уходит дважды "
           "в сутки, и причина тому в основном луна.</p></body></html>")


def chunked(body, size=37):
    out = b""
    for i in range(0, len(body), size):
        part = body[i:i + size]
        out += b"%x\r\n%s\r\n" % (len(part), part)
    return out + b"0\r\n\r\n"


def records(writer):
    number = 0

    def add(kind, url, payload, http=None, status="200 OK", **headers):
        nonlocal number
        number += 1
        fields = {
            "WARC-Record-ID": f"<urn:uuid:00000000-0000-4000-8000-{number:012d}>",
            "WARC-Date": f"2024-05-06T07:08:{number:02d}Z",
        }
        fields.update({k.replace("_", "-"): v for k, v in headers.items()})
        if http is not None:
            http = StatusAndHeaders(status, http, protocol="HTTP/1.1")
        writer.write_record(writer.create_warc_record(
            url, kind, payload=io.BytesIO(payload), http_headers=http,
            warc_headers_dict=fields, warc_content_type=None if http else "text/plain"))

    page = PAGE.encode()
    html = ("Content-Type", "text/html; charset=utf-8")
    add("warcinfo", None, b"software: none\r\n")
    request = StatusAndHeaders("GET / HTTP/1.1", [("Host", "example.org")], is_http_request=True)
    writer.write_record(writer.create_warc_record(
        "http://example.org/", "request", http_headers=request, warc_headers_dict={
            "WARC-Record-ID": "<urn:uuid:00000000-0000-4000-8000-000000000999>",
            "WARC-Date": "2024-05-06T07:08:00Z"}))
    add("response", "http://example.org/plain", page, [html])
    add("response", "http://example.org/chunked", chunked(page),
        [html, ("Transfer-Encoding", "chunked")])
    add("response", "http://example.org/gzip", gzip.compress(page, mtime=0),
        [html, ("Content-Encoding", "gzip")])
    add("response", "http://example.org/both", chunked(gzip.compress(page, mtime=0)),
        [html, ("Transfer-Encoding", "chunked"), ("Content-Encoding", "gzip")])
    add("response", "http://example.org/deflate", zlib.compress(page),
        [html, ("Content-Encoding", "deflate")])
    add("response", "http://example.org/decoded", page,
        [html, ("Transfer-Encoding", "chunked"), ("Content-Encoding", "gzip")])
    add("response", "http://example.ru/", RUSSIAN.encode("windows-1251"),
        [("Content-Type", "text/html; charset=\"windows-1251\"")])
    add("response", "http://example.org/missing", page, [html], status="404 Not Found")
    add("response", "http://example.org/picture", b"\x89PNG\r\n\x1a\n" + bytes(90),
        [("Content-Type", "image/png")])
    add("response", "http://example.org/identified", page,
        [("Content-Type", "application/octet-stream")],
        WARC_Identified_Payload_Type="text/html")
    add("conversion", "http://example.org/text", "The text of a page, converted.\n".encode())
    add("response", "http://example.org/large", page + b" " * 20000, [html])


def table(name):
    with open(f"{HERE}/{name}", "rb") as f, open(f"{HERE}/../{name}.tsv", "w") as out:
        for r in ArchiveIterator(f):
            if r.rec_type not in ("response", "conversion"):
                continue
            body = r.content_stream().read()
            head = r.rec_headers
            print(head.get_header("WARC-Record-ID"), head.get_header("WARC-Target-URI"),
                  head.get_header("WARC-Date"), len(body), sep="\t", file=out)


def arc(version):
    fields = "URL IP-address Archive-date Content-type Archive-length"
    if version == 2:
        fields = ("URL IP-address Archive-date Content-type Result-code Checksum Location "
                  "Offset Filename Archive-length")
    info = f"{version} 0 Example\n{fields}\n".encode()
    more = "200 - - 0 x.arc " if version == 2 else ""
    out = [b"filedesc://x.arc 0.0.0.0 20020102030405 text/plain %s%d\n%s\n"
           % (more.encode(), len(info), info)]
    for url, kind, body in (
            ("http://example.com/one", "text/html", PAGE.encode()),
            ("dns:example.com", "text/dns", b"20020102030405\nexample.com. A 192.0.2.1\n"),
            ("http://example.com/two", "text/html", RUSSIAN.encode("koi8-r"))):
        if kind == "text/html":
            charset = b"; charset=koi8-r" if url.endswith("two") else b""
            body = b"HTTP/1.0 200 OK\r\nContent-Type: text/html%s\r\n\r\n%s" % (charset, body)
        out.append(f"{url} 192.0.2.1 20020102030405 {kind} {more}{len(body)}\n".encode()
                   + body + b"\n")
    return out


def main():
    os.makedirs(HERE, exist_ok=True)
    for name, zipped in (("x.warc", False), ("x.warc.gz", True)):
        with open(f"{HERE}/{name}", "wb") as f:
            records(WARCWriter(f, gzip=zipped))
    table("x.warc")
    for version in (1, 2):
        with open(f"{HERE}/v{version}.arc", "wb") as f:
            f.write(b"".join(arc(version)))
        with open(f"{HERE}/v{version}.arc.gz", "wb") as f:
            f.write(b"".join(gzip.compress(r, mtime=0) for r in arc(version)))


main()
