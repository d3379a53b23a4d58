#!/usr/bin/env python3
"""Write tests/data/quant/rows.gguf: rows, and what others make of them.

usage: quant.py libggml-base.so

Tensors: y (rows), importance (of columns), and of the package gguf the blocks
of Q4_0 ... Q8_0.  Keys TYPE.error and TYPE.error.weighted: the sum of squares
of the errors that ggml's own quantizer leaves, each times |element| and, in the
second, times its column's importance.
"""
import ctypes
import pathlib
import sys

import gguf
import numpy as np

OUT = pathlib.Path(__file__).parents[1] / "data" / "quant" / "rows.gguf"
PLAIN = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]
SEARCHED = ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"]


def rows():
    rng = np.random.default_rng(7)
    y = rng.standard_normal((8, 512)).astype(np.float32) * np.float32(0.02)
    y[2:4] /= np.sqrt(rng.chisquare(4, (2, 512)) / 4).astype(np.float32)
    y[4:6] *= np.where(rng.random((2, 512)) < 0.02, 4, 1).astype(np.float32)
    y[6] += 0.03
    y[7, :64] = 0
    y[7, 64:96] = 0.5
    return y, np.exp(1.2 * rng.standard_normal(512)).astype(np.float32)


def reference(lib, kind, y, importance):
    fn = lib.ggml_quantize_chunk
    fn.restype = ctypes.c_size_t
    fn.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [
        ctypes.c_void_p]
    lib.ggml_quantize_init(ctypes.c_int(int(kind)))
    blocks = np.zeros(y.size * 4, np.uint8)
    n = fn(int(kind), y.ctypes.data, blocks.ctypes.data, 0, y.shape[0], y.shape[1],
           None if importance is None else importance.ctypes.data)
    return gguf.quants.dequantize(blocks[:n].reshape(y.shape[0], -1), kind)


def main():
    lib = ctypes.CDLL(sys.argv[1])
    y, importance = rows()
    out = gguf.GGUFWriter(OUT, "quant")
    out.add_tensor("y", y)
    out.add_tensor("importance", importance)
    for name in PLAIN:
        kind = gguf.GGMLQuantizationType[name]
        out.add_tensor(name, gguf.quants.quantize(y, kind), raw_dtype=kind)
    for name in PLAIN + SEARCHED:
        kind = gguf.GGMLQuantizationType[name]
        for key, w in (".error", None), (".error.weighted", importance):
            e = (reference(lib, kind, y, w).astype(np.float64) - y) ** 2 * np.abs(y)
            out.add_float64(name + key, float((e if w is None else e * w).sum()))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


main()
