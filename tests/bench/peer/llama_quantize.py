#!/usr/bin/env python3
"""llama.cpp's quantizer, for tests/bench/infer.py.

usage: llama_quantize.py FROM TO TYPE THREADS

TYPE is the number of llama.cpp's file type; all tensors get it.
"""
import ctypes
import sys

import llama_cpp as lc

path, to, kind, threads = sys.argv[1:]
quiet = lc.llama_log_callback(lambda level, text, data: None)
lc.llama_log_set(quiet, ctypes.c_void_p(0))
p = lc.llama_model_quantize_default_params()
p.ftype, p.nthread, p.pure = int(kind), int(threads), True
if lc.llama_model_quantize(path.encode(), to.encode(), ctypes.byref(p)) != 0:
    sys.exit(f'{path}: llama.cpp does not quantize it')
