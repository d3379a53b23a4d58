#!/usr/bin/env python3
"""Samples of checksums.json, for a directory whose state.json is "{}" and a newline.

usage: checkpoint.py DIR        (xxhash)
"""
import json
import sys
from pathlib import Path

import xxhash

out = Path(sys.argv[1])
state = b"{}\n"
sum = {"bytes": len(state), "xxh3": xxhash.xxh3_128_hexdigest(state)}


def write(name, doc):
    path = out / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(doc if isinstance(doc, bytes) else json.dumps(doc, indent=2).encode())


def files(**kw):
    return {"files": {"state.json": {**sum, **kw}}, "version": 1}


write("good/one", files())
write("good/later-keys", {**files(more=1), "more": [1]})
write("good/none", {"files": {}, "version": 1})
write("bad/bytes", files(bytes=4))
write("bad/negative", files(bytes=-3))
write("bad/huge", files(bytes=1 << 62))
write("bad/hash", files(xxh3="0" * 32))
write("bad/short-hash", files(xxh3=sum["xxh3"][:16]))
write("bad/no-hash", files(xxh3=None))
write("bad/missing", {"files": {"none.json": sum}, "version": 1})
write("bad/outside", {"files": {"../state.json": sum}, "version": 1})
write("bad/hidden", {"files": {".state.json": sum}, "version": 1})
write("bad/no-name", {"files": {"": sum}, "version": 1})
write("bad/newer", {"files": {}, "version": 2})
write("bad/no-version", {"files": {}})
write("bad/no-files", {"version": 1})
write("bad/list", [])
write("bad/nothing", b"")
write("bad/cut", json.dumps(files()).encode()[:-2])
write("bad/twice", b'{"version":1,"files":{},"files":{}}')
