#!/usr/bin/env python3
"""One training step by PyTorch: a contestant of tests/bench/train.py.

torch_step.py MODEL ROWS CONTEXT THREADS MODE [DEVICE]: loads config.json and
model.safetensors of a directory that llm-init made (gpt2 or llama), takes a
step, and then one for each line of standard input: forward, backward, AdamW.
Prints milliseconds and the loss.  MODE is [compile-]fp32, -tf32, -amp (autocast to
bf16) or -bf16 (weights, activations and moments in bf16); DEVICE cpu or cuda.
"""
import json
import os
import sys
import time

directory, rows, context, threads, mode = sys.argv[1:6]
device = (sys.argv[6:] or ['cpu'])[0]
rows, context, threads = int(rows), int(context), int(threads)
os.environ['OMP_NUM_THREADS'] = os.environ['MKL_NUM_THREADS'] = str(threads)

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

torch.set_num_threads(threads)
torch.set_float32_matmul_precision('high' if mode.endswith('tf32') else 'highest')


class Model(torch.nn.Module):
    def __init__(self, config, weights):
        super().__init__()
        self.c = config
        self.names = {n: n.replace('.', '_') for n in weights}
        for name, tensor in weights.items():
            self.register_parameter(self.names[name], torch.nn.Parameter(tensor))

    def p(self, name):
        return getattr(self, self.names[name])


class GPT2(Model):
    def forward(self, token, target):
        c = self.c
        x = self.p('transformer.wte.weight')[token] + \
            self.p('transformer.wpe.weight')[:token.shape[1]]
        for i in range(c['n_layer']):
            x = x + self.attention(self.norm(x, f'transformer.h.{i}.ln_1'), i)
            h = self.linear(self.norm(x, f'transformer.h.{i}.ln_2'),
                            f'transformer.h.{i}.mlp.c_fc')
            x = x + self.linear(F.gelu(h, approximate='tanh'),
                                f'transformer.h.{i}.mlp.c_proj')
        x = self.norm(x, 'transformer.ln_f')
        logits = F.linear(x, self.p('transformer.wte.weight'))
        return F.cross_entropy(logits.flatten(0, 1).float(), target.flatten())

    def norm(self, x, name):
        return F.layer_norm(x, x.shape[-1:], self.p(name + '.weight'),
                            self.p(name + '.bias'), self.c['layer_norm_epsilon'])

    def linear(self, x, name):
        # Stored as (in, out); transposed once when it was loaded.
        return F.linear(x, self.p(name + '.weight'), self.p(name + '.bias'))

    def attention(self, x, i):
        b, t, width = x.shape
        heads = self.c['n_head']
        q, k, v = (y.view(b, t, heads, width // heads).transpose(1, 2) for y in
                   self.linear(x, f'transformer.h.{i}.attn.c_attn').split(width, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.linear(y.transpose(1, 2).reshape(b, t, width),
                           f'transformer.h.{i}.attn.c_proj')


class Llama(Model):
    def forward(self, token, target):
        c = self.c
        d = c.get('head_dim') or c['hidden_size'] // c['num_attention_heads']
        pos = torch.arange(token.shape[1], dtype=torch.float32, device=device)
        angle = torch.outer(pos, c['rope_theta'] ** (-torch.arange(0, d, 2, device=device) / d))
        cos, sin = angle.cos().repeat(1, 2), angle.sin().repeat(1, 2)
        x = self.p('model.embed_tokens.weight')[token]
        for i in range(c['num_hidden_layers']):
            n = f'model.layers.{i}.'
            h = self.norm(x, n + 'input_layernorm')
            x = x + self.attention(h, n + 'self_attn.', cos.to(x.dtype), sin.to(x.dtype), d)
            h = self.norm(x, n + 'post_attention_layernorm')
            h = F.silu(F.linear(h, self.p(n + 'mlp.gate_proj.weight'))) * \
                F.linear(h, self.p(n + 'mlp.up_proj.weight'))
            x = x + F.linear(h, self.p(n + 'mlp.down_proj.weight'))
        x = self.norm(x, 'model.norm')
        tied = 'lm_head.weight' not in self.names
        logits = F.linear(x, self.p('model.embed_tokens.weight' if tied else 'lm_head.weight'))
        return F.cross_entropy(logits.flatten(0, 1).float(), target.flatten())

    def norm(self, x, name):
        return F.rms_norm(x, x.shape[-1:], self.p(name + '.weight'), self.c['rms_norm_eps'])

    def attention(self, x, n, cos, sin, d):
        b, t, width = x.shape

        def turn(y):
            lo, hi = y.chunk(2, -1)
            return y * cos + torch.cat((-hi, lo), -1) * sin

        q, k, v = (F.linear(x, self.p(n + p + '_proj.weight')).view(b, t, -1, d).transpose(1, 2)
                   for p in 'qkv')
        y = F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True,
                                           enable_gqa=k.shape[1] != q.shape[1])
        return F.linear(y.transpose(1, 2).reshape(b, t, width), self.p(n + 'o_proj.weight'))


def token(i, vocab):
    return ((i * 2654435761 + 12345 & 0xffffffff) >> 8) % vocab


def build():
    with open(directory + '/config.json') as f:
        config = json.load(f)
    weights = load_file(directory + '/model.safetensors')
    if config['model_type'] == 'gpt2':
        weights = {n: w.t().contiguous() if '.c_' in n and w.ndim == 2 else w
                   for n, w in weights.items()}
        return config, GPT2(config, weights)
    if 'rope_theta' not in config:
        config['rope_theta'] = config['rope_parameters']['rope_theta']
    return config, Llama(config, weights)


def main():
    config, model = build()
    stream = [[token(r * (context + 1) + t, config['vocab_size'])
               for t in range(context + 1)] for r in range(rows)]
    data = torch.tensor(stream).to(device)
    model.to(device)
    x, y = data[:, :-1].contiguous(), data[:, 1:].contiguous()
    if mode.endswith('bf16'):
        model.bfloat16()
    # Matrices decay, vectors do not, as with llm-train.
    groups = [{'params': [p for p in model.parameters() if p.ndim > 1], 'weight_decay': 0.1},
              {'params': [p for p in model.parameters() if p.ndim < 2], 'weight_decay': 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95), eps=1e-8, fused=True)
    run = torch.compile(model) if mode.startswith('compile') else model

    def step():
        start = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=mode.endswith('amp')):
            loss = run(x, y)
        loss.backward()
        optimizer.step()
        if device == 'cuda':
            torch.cuda.synchronize()
        return (time.perf_counter() - start) * 1e3, loss.item()

    if sys.stdin.isatty():
        sys.exit('torch_step.py: a line of standard input for each step')
    step()
    print('ready', torch.__version__, torch.get_num_threads(), flush=True)
    for _ in sys.stdin:
        print('%.3f %.6f' % step(), flush=True)


main()
