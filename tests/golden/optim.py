#!/usr/bin/env python3
"""Steps of optimizers as PyTorch and transformers take them: tests/data/optim/steps.json.

    python3 tests/golden/optim.py tests/data/optim/steps.json

Gradients are given, so that only the update is compared.  Two matrices have
weight decay, a vector has none.  Made with torch 2.15 and transformers 5.23.
"""
import json
import sys

import torch
from transformers.optimization import Adafactor

STEPS = 6
SHAPES = {"wide": (6, 20), "tall": (24, 8), "vector": (33,)}
LR, DECAY = 1e-2, 0.1

torch.manual_seed(3)
start = {n: torch.randn(s) for n, s in SHAPES.items()}
grads = [{n: torch.randn(s) * 0.3 for n, s in SHAPES.items()} for _ in range(STEPS)]


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of arXiv 2302.06675."""

    def __init__(self, groups, lr, betas):
        super().__init__(groups, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(torch.sign(b1 * m + (1 - b1) * p.grad), alpha=-group["lr"])
                m.mul_(b2).add_(p.grad, alpha=1 - b2)


class Muon:
    """torch.optim.Muon for matrices, AdamW for the vector."""

    def __init__(self, groups):
        # Its iteration is in bf16, which is not what is compared: keep fp32.
        torch.bfloat16 = torch.float32
        self.parts = [
            torch.optim.Muon(groups[0]["params"], lr=LR, weight_decay=DECAY, momentum=0.95,
                             nesterov=True, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(groups[1:], lr=LR, betas=(0.9, 0.95), eps=1e-8)]

    def step(self):
        for part in self.parts:
            part.step()


def run(make):
    p = {n: torch.nn.Parameter(t.clone()) for n, t in start.items()}
    o = make([{"params": [p["wide"], p["tall"]], "weight_decay": DECAY},
              {"params": [p["vector"]], "weight_decay": 0.0}])
    after = []
    for g in grads:
        for n in p:
            p[n].grad = g[n].clone()
        o.step()
        after.append({n: t.detach().flatten().tolist() for n, t in p.items()})
    return after


golden = {
    "lr": LR, "decay": DECAY,
    "start": {n: t.flatten().tolist() for n, t in start.items()},
    "grads": [{n: t.flatten().tolist() for n, t in g.items()} for g in grads],
    "after": {
        "adamw": run(lambda g: torch.optim.AdamW(g, lr=LR, betas=(0.9, 0.95), eps=1e-8)),
        "lion": run(lambda g: Lion(g, LR, (0.9, 0.99))),
        "adafactor": run(lambda g: Adafactor(g, lr=LR, scale_parameter=False,
                                             relative_step=False, warmup_init=False)),
        "muon": run(Muon),
    },
}


def short(x):
    if isinstance(x, dict):
        return {k: short(v) for k, v in x.items()}
    if isinstance(x, list):
        return [short(v) for v in x]
    return float("%.9g" % x)


with open(sys.argv[1], "w") as f:
    json.dump(short(golden), f, separators=(",", ":"))
    f.write("\n")
