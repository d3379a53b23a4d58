#!/usr/bin/env python3
"""llmc.py MODEL CHECKPOINT: a GPT-2 directory as llm.c's checkpoint, version 3."""
import json
import sys

import numpy
from safetensors.numpy import load_file

with open(sys.argv[1] + '/config.json') as f:
    c = json.load(f)
w = load_file(sys.argv[1] + '/model.safetensors')
vocab, width, layers = c['vocab_size'], c['n_embd'], c['n_layer']
padded = (vocab + 127) // 128 * 128

header = numpy.zeros(256, numpy.int32)
header[:8] = 20240326, 3, c['n_positions'], vocab, layers, c['n_head'], width, padded
wte = numpy.zeros((padded, width), numpy.float32)
wte[:vocab] = w['transformer.wte.weight']
tensors = [wte, w['transformer.wpe.weight']]
for name in ('ln_1.weight', 'ln_1.bias', 'attn.c_attn.weight', 'attn.c_attn.bias',
             'attn.c_proj.weight', 'attn.c_proj.bias', 'ln_2.weight', 'ln_2.bias',
             'mlp.c_fc.weight', 'mlp.c_fc.bias', 'mlp.c_proj.weight', 'mlp.c_proj.bias'):
    for i in range(layers):
        t = w[f'transformer.h.{i}.{name}']
        tensors.append(t.T if t.ndim == 2 else t)     # Hugging Face has (in, out)
tensors += [w['transformer.ln_f.weight'], w['transformer.ln_f.bias']]
with open(sys.argv[2], 'wb') as f:
    header.tofile(f)
    for t in tensors:
        f.write(numpy.ascontiguousarray(t, numpy.float32).tobytes())
