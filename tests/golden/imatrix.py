#!/usr/bin/env python3
"""Write tests/data/imatrix: importance matrices of both forms, and broken ones."""
import pathlib
import struct

import gguf
import numpy as np

OUT = pathlib.Path(__file__).parents[1] / "data" / "imatrix"


def old(*entries):
    b = struct.pack("<i", len(entries))
    for name, calls, v in entries:
        n = name.encode()
        b += struct.pack("<i", len(n)) + n + struct.pack("<ii", calls, len(v))
        b += struct.pack(f"<{len(v)}f", *v)
    return b


def new(path, **tensors):
    w = gguf.GGUFWriter(path, "none")
    w.kv_data[0].clear()
    w.add_type("imatrix")
    w.add_array("imatrix.datasets", ["text"])
    w.add_uint32("imatrix.chunk_count", 1)
    w.add_uint32("imatrix.chunk_size", 512)
    for name, x in tensors.items():
        w.add_tensor(name, np.array(x, np.float32) if isinstance(x, list) else x)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    good, bad = OUT / "good", OUT / "bad"
    good.mkdir(parents=True, exist_ok=True)
    bad.mkdir(exist_ok=True)
    whole = old(("blk.0.attn_q.weight", 2, [1, 2, 3, 4]), ("blk.0.ffn_down.weight", 2, [0.5] * 8))
    (good / "old.dat").write_bytes(whole + struct.pack("<ii", 2, 4) + b"text")
    for name, b in {
        "cut": whole[:40], "negative": old(("a", 1, [1, -1])), "nan": old(("a", 1, [float("nan")])),
        "twice": old(("a", 1, [1]), ("a", 1, [1])), "nul": old(("a\0b", 1, [1])), "empty": b"",
        "huge": struct.pack("<ii", 1, 1) + b"a" + struct.pack("<ii", 1, 0x7fffffff),
        "length": struct.pack("<ii", 1, -5) + b"aaaa", "none": struct.pack("<i", 0),
        "text": b"not a matrix at all",
    }.items():
        (bad / name).write_bytes(b)
    q, d = "blk.0.attn_q.weight", "blk.0.ffn_down_exps.weight"
    new(good / "llama.gguf", **{
        q + ".in_sum2": [[4, 8, 12, 16]], q + ".counts": [[4]],
        d + ".in_sum2": [[1, 2], [3, 4]], d + ".counts": [[1], [0]]})
    new(bad / "counts.gguf", **{"a.in_sum2": [[1, 2, 3]], "a.counts": [[1], [1]]})
    new(bad / "alone.gguf", **{"a.in_sum2": [[1, 2, 3]]})
    new(bad / "type.gguf", **{"a.in_sum2": np.array([[1, 2]], np.int32), "a.counts": [[1]]})


main()
