#!/usr/bin/env python3
"""llama.cpp's turns of a prompt and tokens after it, for tests/bench/infer.py.

usage: llama_infer.py MODEL PROMPT TOKENS THREADS

Says ready; then for each line of the standard input reads a prompt of made-up
tokens in batches of 512, writes TOKENS one by one, and prints the milliseconds
of both, as llama-bench's pp and tg have them.
"""
import ctypes
import sys
import time

import llama_cpp as lc

path, prompt, tokens, threads = sys.argv[1], *map(int, sys.argv[2:5])
quiet = lc.llama_log_callback(lambda level, text, data: None)
lc.llama_log_set(quiet, ctypes.c_void_p(0))
lc.llama_backend_init()
mp = lc.llama_model_default_params()
mp.n_gpu_layers = 0
model = lc.llama_model_load_from_file(path.encode(), mp)
if not model:
    sys.exit(f'{path}: llama.cpp does not load it')
cp = lc.llama_context_default_params()
cp.n_ctx = prompt + tokens
cp.n_batch = cp.n_ubatch = 512
cp.n_threads = cp.n_threads_batch = threads
ctx = lc.llama_init_from_model(model, cp)
if not ctx:
    sys.exit(f'{path}: no context')
vocab = lc.llama_vocab_n_tokens(lc.llama_model_get_vocab(model))
ids = [(7919 * i + 1) % vocab for i in range(prompt + tokens)]


def feed(part):
    array = (lc.llama_token * len(part))(*part)
    if lc.llama_decode(ctx, lc.llama_batch_get_one(array, len(part))):
        sys.exit('llama_decode fails')
    lc.llama_synchronize(ctx)


def turn():
    lc.llama_memory_clear(lc.llama_get_memory(ctx), True)
    start = time.perf_counter()
    for i in range(0, prompt, 512):
        feed(ids[i:min(i + 512, prompt)])
    mid = time.perf_counter()
    for i in range(prompt, prompt + tokens):
        feed(ids[i:i + 1])
    return (mid - start) * 1e3, (time.perf_counter() - mid) * 1e3


turn()
print('ready', flush=True)
for _ in sys.stdin:
    print('%.3f\t%.3f' % turn(), flush=True)
