#!/usr/bin/env python3
"""Sample shards, written from llm-shard(5) alone: an independent writer.

usage: shard.py DIR        (numpy, xxhash)

Makes good/ and bad/ files in DIR, and nanoGPT, llm.c and Megatron files of
the same tokens in DIR/foreign.
"""
import struct
import sys
from pathlib import Path

import numpy as np
import xxhash

out = Path(sys.argv[1])


def xxh3(b, seed=0):
    return xxhash.xxh3_64_intdigest(b, seed=seed)


def seal(head):
    assert len(head) == 56
    return head + struct.pack("<Q", xxh3(head))


class Container:
    def __init__(self, kind=b"S", wrote=1, reads=1):
        head = b"\x8cllm" + kind + b"\r\n\x1a" + struct.pack("<HH", wrote, reads)
        self.bytes = seal(head.ljust(56, b"\0"))
        self.chain = xxh3(self.bytes)

    def put(self, id, payload=b"", args=(), flags=0):
        args = (list(args) + [0] * 4)[:4]
        head = seal(id.encode() + struct.pack("<IqQ4q", flags, len(payload), xxh3(payload),
                    *[a - (1 << 64) if a >= 1 << 63 else a for a in args]))
        self.chain = xxh3(head, self.chain)
        self.bytes += head + payload + b"\0" * (-len(payload) % 64)
        return self

    def end(self):
        chain = self.chain
        return self.put("end ", b"", [len(self.bytes), chain]).bytes


def info(vocab, row_len=0, eos=-1, tokenizer=(0, 0)):
    width = 2 if vocab <= 65536 else 4
    return struct.pack("<IiiiQQ", width, row_len, vocab, eos, *tokenizer)


def array(kind, values):
    return np.asarray(values, dtype="<" + kind).tobytes()


def width(vocab):
    return "u2" if vocab <= 65536 else "u4"


def documents(docs, vocab, blocks=1, provenance=b'{"tool":"golden"}', eos=0, info_id="info",
              weights=None):
    """docs: list of (tokens, source_bytes).  weights: of all tokens of one block."""
    c = Container().put(info_id, info(vocab, eos=eos, tokenizer=(0x1122334455667788, 0x99)))
    for part in np.array_split(np.arange(len(docs)), blocks) if docs else []:
        d = [docs[i] for i in part]
        tokens = sum((t for t, _ in d), [])
        c.put("lens", array("i4", [len(t) for t, _ in d]),
              [len(d), len(d), len(tokens), sum(b for _, b in d)])
        c.put("srcb", array("i8", [b for _, b in d]))
        if weights is not None:
            c.put("lwgt", array("u1", weights), [weights.count(0)])
        c.put("toks", array(width(vocab), tokens))
    if provenance:
        c.put("PROV", provenance)
    n = sum(len(t) for t, _ in docs)
    c.put("sums", array("i8", [len(docs), 0, len(docs), n, sum(b for _, b in docs)]))
    return c


def rows(rows_, vocab, row_len, eos=0, weights=None):
    """rows_: list of rows, each a list of (tokens, source_bytes, flags)."""
    at, cuse, srcb, segf, toks = [0], [], [], [], []
    for row in rows_:
        n = 0
        for t, b, f in row:
            cuse.append(n)
            srcb.append(b)
            segf.append(f)
            toks += t
            n += len(t)
        cuse.append(n)
        at.append(len(cuse))
        toks += [0] * (row_len - n)
    n = sum(len(t) for r in rows_ for t, _, _ in r)
    c = Container().put("info", info(vocab, row_len, eos, (0x1122334455667788, 0x99)))
    c.put("rows", array("i4", at), [len(rows_), len(srcb), n, sum(srcb)])
    c.put("cuse", array("i4", cuse))
    c.put("srcb", array("i8", srcb))
    c.put("segf", array("u1", segf), [sum(f & 1 for f in segf)])
    if weights is not None:
        c.put("lwgt", array("u1", weights), [weights.count(0)])
    c.put("toks", array(width(vocab), toks))
    c.put("sums", array("i8", [sum(f & 1 for f in segf), len(rows_), len(srcb), n, sum(srcb)]))
    return c


def write(name, data):
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


tiny = [([72, 105, 0], 2), ([66, 121, 101, 0], 3)]
many = [([1 + (i * 7 + k) % 299 for k in range(i % 11)] + [0], 3 * i) for i in range(60)]
wide = [([70000, 5, 65536, 0], 9), ([99999, 0], 4)]
packed = [[([72, 105, 0], 2, 3), ([66, 121, 101, 0], 3, 3)], [([9, 8, 7, 6, 5, 4, 3, 2], 20, 1)],
          [([1, 0], 5, 2)], []]

write("good/tiny.shard", documents(tiny, 256, provenance=b"").end())
write("good/docs.shard", documents(many, 300, blocks=3).end())
write("good/wide.shard", documents(wide, 100000).end())
write("good/empty.shard", documents([], 256).end())
write("good/rows.shard", rows(packed, 256, 8).end())
write("good/joined.shard", documents(tiny, 256).end() * 2)
write("good/weights.shard", documents(tiny, 256, weights=[0, 0, 1, 0, 1, 1, 1]).end())
write("good/weights-rows.shard", rows(packed, 256, 8, weights=[0] * 7 + [1] * 25).end())
write("good/later.shard", documents(tiny, 256).put("XTRA", b"from a later version").end())

good = documents(tiny, 256).end()
write("bad/empty.shard", b"")
write("bad/cut.shard", good[:-64])
write("bad/cut-chunk.shard", good[:300])
write("bad/text.shard", b'{"text":"these are records"}\n')
write("bad/tail.shard", good + b"\0" * 64)
write("bad/flip.shard", good[:400] + bytes([good[400] ^ 1]) + good[401:])
write("bad/unknown.shard", documents(tiny, 256).put("xtra", b"").end())
write("bad/weights.shard", documents(tiny, 256).put("lwgt", b"\1\2").end())
write("bad/weights-value.shard", documents(tiny, 256, weights=[0, 0, 2, 0, 1, 1, 1]).end())
write("bad/weights-few.shard", documents(tiny, 256, weights=[0, 0, 1]).end())
write("bad/weights-end.shard", documents(tiny, 256).put("lwgt", b"\1" * 7).end())
write("bad/pairs.shard", documents(tiny, 256).put("pair", b"\1\2").end())
write("bad/flags.shard", documents(tiny, 256).put("sums", b"", flags=1).end())
write("bad/mixed.shard", documents(tiny, 256).end() + documents(tiny, 257).end())
write("bad/no-info.shard", documents(tiny, 256, info_id="XNFO").end())
write("bad/vocab.shard", documents([([300], 1)], 256).end())
write("bad/newer.shard", Container(wrote=9, reads=9).put("info", info(256)).end())
write("bad/kind.shard", Container(kind=b"Q").put("info", info(256)).end())
write("bad/moved.shard", good[:64] + good[192:256] + good[64:192] + good[256:])


def broken(id, args, payload):
    c = Container().put("info", info(256)).put(id, payload, args)
    c.put("srcb", array("i8", [1])).put("toks", array("u2", [1]))
    return c.put("sums", array("i8", [1, 0, 1, 1, 1])).end()


big = (1 << 63) - 1
write("bad/huge-docs.shard", broken("lens", [big, big, 1, 1], array("i4", [1])))
write("bad/huge-tokens.shard", broken("lens", [1, 1, big, 1], array("i4", [1])))
write("bad/negative.shard", broken("lens", [1, 1, 1, 1], array("i4", [-1])))
write("bad/sum.shard", broken("lens", [1, 1, 1, 7], array("i4", [1])))


def bad_rows(at, cuse, segf=(3,)):
    c = Container().put("info", info(256, 8))
    c.put("rows", array("i4", at), [1, 1, 3, 2]).put("cuse", array("i4", cuse))
    c.put("srcb", array("i8", [2])).put("segf", array("u1", segf), [1])
    c.put("toks", array("u2", [1] * 8))
    return c.put("sums", array("i8", [1, 1, 1, 3, 2])).end()


write("good/row.shard", bad_rows([0, 2], [0, 3]))
write("bad/row-at.shard", bad_rows([1, 2], [0, 3]))
write("bad/row-end.shard", bad_rows([0, 100], [0, 3]))
write("bad/row-long.shard", bad_rows([0, 2], [0, 9]))
write("bad/row-start.shard", bad_rows([0, 2], [1, 3]))
write("bad/row-back.shard", bad_rows([0, 2], [0, -3]))
write("bad/segf.shard", bad_rows([0, 2], [0, 3], [7]))
head = struct.pack("<4sIqQ4q", b"lens", 0, big, 0, 1, 1, 1, 1)
write("bad/huge-chunk.shard", good[:128 + 64] + seal(head))

# The same documents in other programs' files.
flat = np.array(sum((t for t, _ in many), []))
header = np.zeros(256, dtype="<i4")
write("foreign/nanogpt.bin", flat.astype("<u2").tobytes())
header[:3] = [20240520, 1, len(flat)]
write("foreign/llmc.bin", header.tobytes() + flat.astype("<u2").tobytes())
flat4 = np.array(sum((t for t, _ in wide), []))
header[:3] = [20240801, 7, len(flat4)]
write("foreign/llmc-wide.bin", header.tobytes() + flat4.astype("<u4").tobytes())
for name, docs, code, kind in (("megatron", many, 8, "u2"), ("megatron-wide", wide, 4, "i4")):
    lens = np.array([len(t) for t, _ in docs], dtype="<i4")
    at = np.concatenate([[0], np.cumsum(lens.astype("<i8"))[:-1]]) * np.dtype(kind).itemsize
    write(f"foreign/{name}.bin", np.array(sum((t for t, _ in docs), [])).astype("<" + kind).tobytes())
    write(f"foreign/{name}.idx", b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, code, len(docs), len(docs) + 1)
          + lens.tobytes() + at.astype("<i8").tobytes()
          + np.arange(len(docs) + 1, dtype="<i8").tobytes())

# The same as inputs of tests/fuzz/foreign.c: a letter, the length of an index, it, the ids.
foreign = out / "foreign"
for name in ("nanogpt", "llmc", "llmc-wide", "megatron", "megatron-wide"):
    idx = foreign / f"{name}.idx"
    index = idx.read_bytes() if idx.exists() else b""
    ids = (foreign / f"{name}.bin").read_bytes()
    head = name[0].encode() + struct.pack("<H", len(index))
    write(f"../foreign/good/{name}", head + index + ids)
    write(f"../foreign/bad/{name}-cut", head + index + ids[:-1])
    if index:
        for i in (9, 17, 18, 25, 26, 33, 34, 37, len(index) - 1):
            b = bytearray(index)
            b[i] ^= 0xff
            write(f"../foreign/bad/{name}-{i}", head + bytes(b) + ids)
