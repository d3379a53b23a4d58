#!/usr/bin/env python3
"""Sample safetensors files: good ones by the reference, bad ones by hand.

usage: tensors.py DIR        (torch, safetensors)
"""
import json
import struct
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

out = Path(sys.argv[1])
good, bad = out / "good", out / "bad"
for d in (good, bad, good / "sharded"):
    d.mkdir(parents=True, exist_ok=True)


def fill(name, dtype, shape):
    """Byte i of a tensor is (7 i + length of its name) mod 251; of a bool, i mod 2."""
    count = 1
    for d in shape:
        count *= d
    size = torch.empty(0, dtype=dtype).element_size()
    n = count * size
    step = 7 * torch.arange(n) + len(name.encode())
    raw = (torch.arange(n) % 2 if dtype == torch.bool else step % 251).to(torch.uint8)
    return raw.view(dtype).reshape(shape)


# Order and names are those of tests/unit/t_safetensors.c.
kinds = [("w.f32", torch.float32, (3, 5)), ("b.f32", torch.float32, (5,)),
         ("h.bf16", torch.bfloat16, (2, 3)), ("h.f16", torch.float16, (7,)),
         ("d.f64", torch.float64, (2,)), ("i.i64", torch.int64, ()), ("i.u8", torch.uint8, (9,)),
         ("i.i8", torch.int8, (1, 1, 3)), ("i.i32", torch.int32, (2, 2)),
         ("i.i16", torch.int16, (3,)), ("m.bool", torch.bool, (5,)), ("none", torch.float32, (0, 4)),
         ("e.f8", torch.float8_e4m3fn, (5,)), ("e.f8b", torch.float8_e5m2, (3,)),
         ("i.u16", torch.uint16, (3,)), ("i.u32", torch.uint32, (1,)), ("i.u64", torch.uint64, (1,)),
         ('na"me\\ \u00e9\t', torch.float32, (1,))]
tensors = {n: fill(n, t, s) for n, t, s in kinds}
save_file(tensors, good / "kinds.safetensors", metadata={"format": "pt"})
save_file({"a": torch.zeros(2)}, good / "no-meta.safetensors")
save_file({"a": torch.tensor([1.0, -2.0])}, good / "tiny.safetensors", metadata={"format": "pt"})
save_file({}, good / "empty.safetensors")

names = sorted(tensors)
parts = [names[:8], names[8:]]
index = {"metadata": {"total_size": sum(t.numel() * t.element_size() for t in tensors.values())},
         "weight_map": {}}
for i, part in enumerate(parts):
    file = f"model-{i + 1:05}-of-00002.safetensors"
    save_file({n: tensors[n] for n in part}, good / "sharded" / file, metadata={"format": "pt"})
    index["weight_map"].update({n: file for n in part})
(good / "sharded" / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))


def raw(name, header, data=b"", length=None):
    h = header if isinstance(header, bytes) else json.dumps(header).encode()
    n = len(h) if length is None else length
    (bad / f"{name}.safetensors").write_bytes(struct.pack("<Q", n) + h + data)


def entry(dtype="F32", shape=(2,), at=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(at)}


d8, d16 = b"12345678", b"1234567812345678"
(bad / "nothing.safetensors").write_bytes(b"")
(bad / "short.safetensors").write_bytes(b"\1\0\0")
raw("length-over", {"a": entry()}, d8, length=1000)
raw("length-huge", {"a": entry()}, d8, length=(1 << 63) + 5)
raw("length-limit", {"a": entry()}, d8, length=100000001)
raw("length-zero", b"", d8)
raw("not-json", b"{]", d8)
raw("array", b"[1]", b"")
raw("space-first", b' {"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', d8)
raw("utf8", b'{"\xff":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', d8)
raw("duplicate", b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
    b'"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', d8)
raw("tail", b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}x', d8)
raw("dtype", {"a": entry("F31")}, d8)
raw("dtype-number", {"a": entry(32)}, d8)
raw("shape-negative", {"a": entry(shape=(-2,))}, d8)
raw("shape-real", {"a": entry(shape=(2.0,))}, d8)
raw("shape-overflow", {"a": entry(shape=(1 << 62, 4), at=(0, 0))}, b"")
raw("shape-big", b'{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}', d8)
raw("dimensions", {"a": entry(shape=(1,) * 7 + (2,) + (1,))}, d8)
raw("size", {"a": entry(shape=(3,))}, d8)
raw("backwards", {"a": entry(at=(8, 0))}, d8)
raw("outside", {"a": entry(at=(0, 16), shape=(4,))}, d8)
raw("negative", {"a": entry(at=(-8, 0))}, d8)
raw("hole", {"a": entry(), "b": entry(at=(12, 20))}, d16 + d8[:4])
raw("overlap", {"a": entry(), "b": entry(at=(4, 12))}, d8 + d8[:4])
raw("same", {"a": entry(), "b": entry()}, d8)
raw("late", {"a": entry(at=(8, 16))}, d16)
raw("trailing", {"a": entry()}, d8 + b"x")
raw("cut", {"a": entry()}, d8[:7])
raw("extra-key", {"a": {**entry(), "more": 1}}, d8)
raw("missing-key", {"a": {"dtype": "F32", "shape": [2]}}, d8)
raw("three-offsets", {"a": entry(at=(0, 8, 8))}, d8)
raw("tensor-number", {"a": 1}, b"")
raw("meta-number", {"__metadata__": {"a": 1}}, b"")
raw("meta-list", {"__metadata__": []}, b"")
