#!/usr/bin/env python3
"""Tiny random models by transformers, with what PyTorch computes from them.

usage: model.py DIR   writes DIR/{llama,llama-tied,gpt2}/

Each has the model as save_pretrained() leaves it and expected.safetensors:
token (T), cu_seqlens (S + 1), logits (T, V), loss (1) and grad.NAME of every
parameter, where loss is the mean over all tokens that have a next one in
their sequence.  Float64 arithmetic on float32 weights, stored as float32.
"""
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from transformers import JambaConfig, JambaForCausalLM, MambaConfig, MambaForCausalLM

SEQS = [7, 1, 12, 4]


def models():
    torch.manual_seed(7)
    llama3 = {"rope_type": "llama3", "rope_theta": 1000.0, "factor": 4.0,
              "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 16}
    yield "llama", LlamaForCausalLM(LlamaConfig(
        vocab_size=48, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=6,
        max_position_embeddings=32, rms_norm_eps=1e-5, tie_word_embeddings=False,
        rope_parameters=llama3, bos_token_id=0, eos_token_id=[1, 2]))
    yield "llama-tied", LlamaForCausalLM(LlamaConfig(
        vocab_size=40, hidden_size=12, intermediate_size=20, num_hidden_layers=1,
        num_attention_heads=3, num_key_value_heads=1, max_position_embeddings=32,
        attention_bias=True, mlp_bias=True, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=1))
    yield "gpt2", GPT2LMHeadModel(GPT2Config(
        vocab_size=48, n_embd=16, n_layer=2, n_head=4, n_positions=32,
        resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, bos_token_id=0, eos_token_id=0))
    yield "mamba", MambaForCausalLM(MambaConfig(
        vocab_size=48, hidden_size=16, state_size=5, num_hidden_layers=2, conv_kernel=4,
        expand=2, time_step_rank=3, use_bias=True, bos_token_id=0, eos_token_id=0,
        residual_in_fp32=False))
    yield "jamba", JambaForCausalLM(JambaConfig(
        vocab_size=48, hidden_size=16, intermediate_size=24, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2, attn_layer_period=3,
        attn_layer_offset=1, num_experts=1, num_experts_per_tok=1, mamba_d_state=5,
        mamba_d_conv=3, mamba_expand=2, mamba_dt_rank=3, mamba_conv_bias=False,
        max_position_embeddings=64, tie_word_embeddings=False, bos_token_id=0,
        eos_token_id=1, pad_token_id=0))


def randomize(model):
    """Weights large enough that every part matters, norms and biases too."""
    g = torch.Generator().manual_seed(11)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=g) * 0.3
        norm = "norm" in name or ".ln_" in name
        p.data = noise + 1 if norm and name.endswith("weight") else noise


def expected(model, vocab):
    g = torch.Generator().manual_seed(13)
    token = torch.randint(0, vocab, (sum(SEQS),), generator=g)
    cu = torch.tensor([0] + SEQS).cumsum(0)
    logits, total, targets = [], 0, 0
    model = model.double()
    for a, b in zip(cu[:-1], cu[1:]):
        y = model(token[None, a:b]).logits[0]
        logits.append(y)
        total = total - torch.log_softmax(y[:-1], -1).gather(1, token[a + 1:b, None]).sum()
        targets += int(b - a - 1)
    loss = total / targets
    loss.backward()
    out = {"token": token.int(), "cu_seqlens": cu.int(),
           "logits": torch.cat(logits).float(), "loss": loss.reshape(1).double()}
    for name, p in model.named_parameters():
        out["grad." + name] = p.grad.float()
    return {k: v.detach().contiguous() for k, v in out.items()}


def main():
    for name, model in models():
        where = os.path.join(sys.argv[1], name)
        model.eval()
        randomize(model)
        model.save_pretrained(where)
        save_file(expected(model, model.config.vocab_size),
                  os.path.join(where, "expected.safetensors"))


if __name__ == "__main__":
    main()
