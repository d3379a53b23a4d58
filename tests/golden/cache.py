#!/usr/bin/env python3
"""Samples of llm-cache(5), written from the page alone.

usage: cache.py HASH DIR

HASH are the 32 hex digits that t_infer prints for the model of
tests/lib/tiny.h.  DIR gets good/tiny.cache and bad/*; needs numpy and xxhash.
"""
import os
import struct
import sys

import numpy as np
import xxhash


def header(b):
    return b + struct.pack("<Q", xxhash.xxh3_64_intdigest(b))


def container(chunks, kind=b"K"):
    out = header(b"\x8cllm" + kind + b"\r\n\x1a" + struct.pack("<HH", 1, 1) + bytes(44))
    chain = xxhash.xxh3_64_intdigest(out)
    for name, arg, payload in chunks + [(b"end ", None, b"")]:
        if name == b"end ":
            arg = (len(out), chain if chain < 1 << 63 else chain - (1 << 64), 0, 0)
        h = header(name + struct.pack("<IqQ4q", 0, len(payload),
                                      xxhash.xxh3_64_intdigest(payload), *arg))
        chain = xxhash.xxh3_64_intdigest(h, seed=chain)
        out += h + payload + bytes(-len(payload) % 64)
    return out


def cache(model, kv=b"F16", tokens=(3, 1, 4), computed=3, plain=0, block=16, keys=128):
    none = (0, 0, 0, 0)
    info = bytes.fromhex(model)[::-1] + struct.pack("<8sqqii", kv, computed, 0, block, plain)
    k = np.zeros((1, 16, 4), "<f2")
    k[0, :3] = np.arange(12).reshape(3, 4) / 4
    return [(b"info", none, info), (b"toks", none, struct.pack(f"<{len(tokens)}i", *tokens)),
            (b"keys", none, k.tobytes()[:keys]), (b"vals", none, (2 * k).tobytes())]


def main():
    model, where = sys.argv[1:]
    good = cache(model)
    files = {
        "good/tiny.cache": container(good),
        "good/pending.cache": container(cache(model, tokens=(3, 1, 4, 1, 5))),
        "good/skipped.cache": container(good[:2] + [(b"More", (0, 0, 0, 0), b"?")] + good[2:]),
        "good/empty.cache": container(cache(model, tokens=(), computed=0)[:2]),
        "bad/empty": b"",
        "bad/cut": container(good)[:500],
        "bad/kind": container(good, b"S"),
        "bad/model": container(cache("00" * 16)),
        "bad/type": container(cache(model, kv=b"Q8_0")),
        "bad/plain": container(cache(model, plain=1)),
        "bad/block": container(cache(model, block=32)),
        "bad/token": container(cache(model, tokens=(3, 1, 11))),
        "bad/negative": container(cache(model, tokens=(3, 1, -1))),
        "bad/long": container(cache(model, tokens=(1,) * 17)),
        "bad/computed": container(cache(model, computed=4)),
        "bad/before": container(cache(model, computed=-1)),
        "bad/short": container(cache(model, keys=96)),
        "bad/lacking": container(good[:3]),
        "bad/more": container(good + good[3:]),
        "bad/unknown": container(good[:2] + [(b"less", (0, 0, 0, 0), b"")] + good[2:]),
    }
    for name, data in files.items():
        path = os.path.join(where, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)


main()
