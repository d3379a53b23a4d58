#!/usr/bin/env python3
"""Tiny random models by transformers, with what PyTorch computes from them.

usage: model.py DIR [NAME ...]   writes DIR/NAME/ of these, or of all

Each has the model as save_pretrained() leaves it and expected.safetensors:
token (T), cu_seqlens (S + 1), logits (T, V), loss (1) and grad.NAME of every
parameter, where loss is the mean over all tokens that have a next one in
their sequence; prompt (P) and what follows it greedily, generated (64), with
the margin (64) of each over the next best.  Float64 arithmetic on weights of
the type they are stored in, stored as float32.
"""
import copy
import os
import shutil
import sys

import torch
from safetensors.torch import save_file
from transformers import (Gemma2Config, Gemma2ForCausalLM, Gemma3ForCausalLM, Gemma3TextConfig,
                          GemmaConfig, GemmaForCausalLM, GPT2Config, GPT2LMHeadModel,
                          LlamaConfig, LlamaForCausalLM, MambaConfig, MambaForCausalLM,
                          MistralConfig, MistralForCausalLM, Olmo2Config, Olmo2ForCausalLM,
                          Phi3Config, Phi3ForCausalLM, Qwen2Config, Qwen2ForCausalLM,
                          Qwen3Config, Qwen3ForCausalLM)

SEQS = [7, 1, 20, 4]
PROMPT, GENERATED = 8, 64
SIZES = dict(vocab_size=48, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=80,
             bos_token_id=0, eos_token_id=1, pad_token_id=None, attn_implementation="eager")
THETA = {"rope_type": "default", "rope_theta": 100.0}


def llama():
    rope = {"rope_type": "llama3", "rope_theta": 1000.0, "factor": 4.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
    return LlamaForCausalLM(LlamaConfig(**SIZES | dict(
        head_dim=6, rms_norm_eps=1e-5, tie_word_embeddings=False, rope_parameters=rope,
        eos_token_id=[1, 2])))


def llama_tied():
    return LlamaForCausalLM(LlamaConfig(**SIZES | dict(
        vocab_size=40, hidden_size=12, intermediate_size=20, num_hidden_layers=1,
        num_attention_heads=3, num_key_value_heads=1, attention_bias=True, mlp_bias=True,
        tie_word_embeddings=True, bos_token_id=None)))


def gpt2():
    return GPT2LMHeadModel(GPT2Config(
        vocab_size=48, n_embd=16, n_layer=2, n_head=4, n_positions=80, resid_pdrop=0, embd_pdrop=0,
        attn_pdrop=0, bos_token_id=0, eos_token_id=0))


def mistral():
    return MistralForCausalLM(MistralConfig(**SIZES | dict(
        sliding_window=6, tie_word_embeddings=False, rope_parameters=THETA)))


def qwen2():
    rope = {"rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0,
            "original_max_position_embeddings": 20}
    return Qwen2ForCausalLM(Qwen2Config(**SIZES | dict(
        num_hidden_layers=3, use_sliding_window=True, sliding_window=5, max_window_layers=1,
        tie_word_embeddings=True, rope_parameters=rope)))


def qwen3():
    return Qwen3ForCausalLM(Qwen3Config(**SIZES | dict(
        head_dim=6, tie_word_embeddings=True, rope_parameters=THETA)))


def gemma():
    return GemmaForCausalLM(GemmaConfig(**SIZES | dict(
        head_dim=8, num_key_value_heads=1, rope_parameters=THETA)))


def gemma2():
    return Gemma2ForCausalLM(Gemma2Config(**SIZES | dict(
        head_dim=6, sliding_window=5, query_pre_attn_scalar=10, attn_logit_softcapping=1.5,
        final_logit_softcapping=4.0, rope_parameters=THETA)))


def gemma3():
    rope = {"full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10.0}}
    return Gemma3ForCausalLM(Gemma3TextConfig(**SIZES | dict(
        num_hidden_layers=3, head_dim=6, sliding_window=5, query_pre_attn_scalar=10,
        sliding_window_pattern=3, rope_parameters=rope)))


def phi3():
    rope = {"rope_type": "longrope", "rope_theta": 100.0, "short_factor": [1.0, 1.25, 1.5],
            "long_factor": [1.5, 2.0, 4.0], "partial_rotary_factor": 0.75}
    return Phi3ForCausalLM(Phi3Config(**SIZES | dict(
        hidden_size=32, original_max_position_embeddings=16, rope_parameters=rope,
        partial_rotary_factor=0.75, sliding_window=12, tie_word_embeddings=False)))


def olmo2():
    return Olmo2ForCausalLM(Olmo2Config(**SIZES | dict(rope_parameters=THETA)))


def mamba():
    return MambaForCausalLM(MambaConfig(
        vocab_size=48, hidden_size=16, state_size=5, num_hidden_layers=2, conv_kernel=4,
        expand=2, time_step_rank=3, use_bias=True, bos_token_id=0, eos_token_id=0,
        residual_in_fp32=False))


# The model, and the type of its weights.
MODELS = {
    "llama": (llama, torch.float32), "llama-tied": (llama_tied, torch.float32),
    "gpt2": (gpt2, torch.float32), "mistral": (mistral, torch.bfloat16),
    "qwen2": (qwen2, torch.float16), "qwen3": (qwen3, torch.bfloat16),
    "gemma": (gemma, torch.float32), "gemma2": (gemma2, torch.bfloat16),
    "gemma3": (gemma3, torch.float32), "phi3": (phi3, torch.bfloat16),
    "olmo2": (olmo2, torch.float16), "mamba": (mamba, torch.float32),
}


def models():
    torch.manual_seed(7)
    for name, (make, _) in MODELS.items():
        yield name, make()


def randomize(model):
    """Weights large enough that every part matters, norms and biases too."""
    g = torch.Generator().manual_seed(11)
    # With a tied head, small ones would repeat a token for ever.
    large = model.config.tie_word_embeddings and model.config.hidden_size >= 16
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=g) * (0.5 if large else 0.3)
        norm = "norm" in name or ".ln_" in name
        p.data = noise + 1 if norm and name.endswith("weight") else noise


def generate(model, prompt):
    """Greedily, each token from the whole sequence."""
    ids, margin = prompt.tolist(), []
    for _ in range(GENERATED):
        with torch.no_grad():
            top = model(torch.tensor([ids]), use_cache=False).logits[0, -1].topk(2)
        margin.append(top.values[0] - top.values[1])
        ids.append(int(top.indices[0]))
    return torch.tensor(ids[len(prompt):]), torch.stack(margin)


def expected(model, vocab):
    g = torch.Generator().manual_seed(13)
    token = torch.randint(0, vocab, (sum(SEQS),), generator=g)
    cu = torch.tensor([0] + SEQS).cumsum(0)
    logits, total, targets = [], 0, 0
    model = model.double()
    for a, b in zip(cu[:-1], cu[1:]):
        y = model(token[None, a:b], use_cache=False).logits[0]
        logits.append(y)
        total = total - torch.log_softmax(y[:-1], -1).gather(1, token[a + 1:b, None]).sum()
        targets += int(b - a - 1)
    loss = total / targets
    loss.backward()
    for prompt in token.split(PROMPT):	# the first that goes on without near ties
        ids, margin = generate(model, prompt)
        if margin.min() > 2e-3:
            break
    out = {"token": token.int(), "cu_seqlens": cu.int(),
           "logits": torch.cat(logits).float(), "loss": loss.reshape(1).double(),
           "prompt": prompt.int(), "generated": ids.int(), "margin": margin.float()}
    for name, p in model.named_parameters():
        out["grad." + name] = p.grad.float()
    return {k: v.detach().contiguous() for k, v in out.items()}


def main():
    for name in sys.argv[2:] or MODELS:
        make, kind = MODELS[name]
        where = os.path.join(sys.argv[1], name)
        shutil.rmtree(where, ignore_errors=True)
        torch.manual_seed(7)
        model = make().eval()
        randomize(model)
        for p in model.parameters():
            p.data = p.data.to(kind).float()
        copy.deepcopy(model).to(kind).save_pretrained(where)	# rotary tables stay as they are
        save_file(expected(model, model.config.vocab_size),
                  os.path.join(where, "expected.safetensors"))


if __name__ == "__main__":
    main()
