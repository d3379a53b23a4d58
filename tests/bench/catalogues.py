"""catalogues.py DIR - records of the translations in the message catalogues under DIR.

One record a catalogue, in an order that mixes the languages.
"""
import glob
import hashlib
import json
import os
import struct
import sys


def strings(data):
    """The translations in a .mo file, which are a table of lengths and offsets."""
    order = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}.get(data[:4])
    if order is None:
        return
    n, _, at = struct.unpack_from(order + "3I", data, 8)
    for i in range(n):
        length, start = struct.unpack_from(order + "2I", data, at + 8 * i)
        yield data[start : start + length].decode("utf-8", "replace").replace("\0", "\n")


paths = glob.glob(os.path.join(sys.argv[1], "*/LC_MESSAGES/*.mo"))
for path in sorted(paths, key=lambda p: hashlib.sha1(p.encode()).digest()):
    with open(path, "rb") as f:
        text = "\n".join(strings(f.read()))
    print(json.dumps({"text": text}, ensure_ascii=False))
