#!/usr/bin/env python3
"""GGUF files by the package gguf of llama.cpp, and broken ones.

usage: gguf_files.py DATA   writes DATA/gguf/{good,bad}/ from DATA/model/llama-tied

good/types.gguf    a tensor of random blocks of each type, named as it, and what
                   gguf.quants makes of it as NAME.f32
good/values.gguf   keys of all types
good/split-*.gguf  one model in three files
good/written.gguf  what tests/unit/t_gguf_write.c writes too
good/llama.gguf    the model as llama.cpp's converter writes it, fp32, with a
                   tokenizer of 40 tokens
good/bert.gguf     the encoder of DATA/encoder/bert as the converter writes it
"""
import json
import os
import shutil
import struct
import sys

import numpy as np
from gguf import (GGML_QUANT_SIZES, GGMLQuantizationType as Q, GGUFValueType, GGUFWriter,
                  PoolingType)
from gguf.quants import dequantize
from safetensors.numpy import load_file

# Where the fp16 numbers of a block are.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
          "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0],
          "IQ4_XS": [0]}


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def types(path):
    rng = np.random.default_rng(5)
    w = GGUFWriter(path, "test")
    for name, halves in HALVES.items():
        q = Q[name]
        size, nbytes = GGML_QUANT_SIZES[q]
        raw = rng.integers(0, 256, (2, 2 * nbytes), dtype=np.uint8)
        for block in range(2):
            for at in halves:
                d = rng.normal(size=(2, 1)).astype(np.float16) * np.float16(0.1)
                at += block * nbytes
                raw[:, at:at + 2] = d.view(np.uint8)
        w.add_tensor(name, raw, raw_dtype=q)
        w.add_tensor(name + ".f32", dequantize(raw, q).astype(np.float32))
    x = rng.normal(size=(3, 5)).astype(np.float32)
    half = x.astype(np.float16)
    bf16 = (x.view(np.uint32) >> 16).astype(np.uint16)
    w.add_tensor("F32", x)
    w.add_tensor("F32.f32", x)
    w.add_tensor("F64", x.astype(np.float64))
    w.add_tensor("F64.f32", x)
    w.add_tensor("F16", half)
    w.add_tensor("F16.f32", half.astype(np.float32))
    w.add_tensor("BF16", bf16.view(np.uint8), raw_dtype=Q.BF16)
    w.add_tensor("BF16.f32", (bf16.astype(np.uint32) << 16).view(np.float32))
    w.add_tensor("I32", np.arange(6, dtype=np.int32))
    finish(w)


def values(path):
    w = GGUFWriter(path, "test")
    w.add_custom_alignment(64)
    w.add_uint8("u8", 200)
    w.add_int8("i8", -100)
    w.add_uint16("u16", 60000)
    w.add_int16("i16", -30000)
    w.add_uint32("u32", 4000000000)
    w.add_int32("i32", -2000000000)
    w.add_float32("f32", 1e-05)
    w.add_bool("yes", True)
    w.add_bool("no", False)
    w.add_string("text", "grüße\n")
    w.add_uint64("u64", 2**63)
    w.add_int64("i64", -2**62)
    w.add_float64("f64", 0.1)
    w.add_array("texts", ["one", "", "three"])
    w.add_key_value("ints", [1, -2, 3], GGUFValueType.ARRAY, GGUFValueType.INT16)
    w.add_array("floats", [0.5, 1.5])
    w.add_tensor("scalar", np.array([7], dtype=np.float32))
    w.add_tensor("cube", np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    finish(w)


def written(path):
    w = GGUFWriter(path, "test")
    w.add_uint32("u32", 4000000000)
    w.add_float32("f32", 1e-05)
    w.add_bool("yes", True)
    w.add_array("texts", ["one", "", "three"])
    w.add_array("ints", [1, -2, 3])
    w.add_tensor("blocks", np.arange(102, dtype=np.uint8).reshape(3, 34), raw_dtype=Q.Q8_0)
    w.add_tensor("rows", np.arange(400, dtype=np.float32).reshape(10, 40))
    w.add_tensor("vector", np.array([0.5, 1.5, 2.5], dtype=np.float32))
    finish(w)


def split(path):
    """Five tensors in three files; and files of which one is missing."""
    w = GGUFWriter(path, "test", split_max_tensors=2)
    w.add_uint32("u32", 7)
    for i in range(5):
        w.add_tensor("t%d" % i, np.full((i + 1, 3), i, dtype=np.float32))
    finish(w)


def permute(x, heads):
    """As convert_hf_to_gguf does: halves of a head to neighbours."""
    return (x.reshape(heads, 2, x.shape[0] // heads // 2, *x.shape[1:])
            .swapaxes(1, 2).reshape(x.shape))


NAMES = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q",
         "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def tensors(model, c):
    for name, x in load_file(os.path.join(model, "model.safetensors")).items():
        kind = name.rsplit(".", 1)[1]
        if name.startswith("model.layers."):
            layer, part = name[len("model.layers."):-len(kind) - 1].split(".", 1)
            if part.endswith("q_proj"):
                x = permute(x, c["num_attention_heads"])
            if part.endswith("k_proj"):
                x = permute(x, c["num_key_value_heads"])
            name = "blk.%s.%s.%s" % (layer, NAMES[part], kind)
        else:
            name = name.replace("model.embed_tokens", "token_embd").replace(
                "model.norm", "output_norm")
        yield name, np.ascontiguousarray(x)


def llama(path, model):
    with open(os.path.join(model, "config.json")) as f:
        c = json.load(f)
    w = GGUFWriter(path, "llama")
    w.add_block_count(c["num_hidden_layers"])
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(c["hidden_size"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(c["num_attention_heads"])
    w.add_head_count_kv(c["num_key_value_heads"])
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_rope_freq_base(c["rope_parameters"]["rope_theta"])
    w.add_rope_dimension_count(c["hidden_size"] // c["num_attention_heads"])
    w.add_vocab_size(c["vocab_size"])
    letters = list("abcdefghijklmnopqrstuvwxyz0123\u0120")
    merges = ["t h", "th e", "\u0120 the", "i n", "a n"]
    tokens = ["<|x|>", "</s>"] + letters + [m.replace(" ", "") for m in merges] + ["user", "zz"]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("smollm")
    w.add_token_list(tokens)
    w.add_token_types([3, 3] + [1] * (len(tokens) - 4) + [4, 1])
    w.add_token_merges(merges)
    w.add_eos_token_id(1)
    w.add_bos_token_id(0)
    w.add_add_bos_token(True)
    w.add_chat_template("{% for m in messages %}{{ m['content'] }}\n{% endfor %}")
    assert len(tokens) == c["vocab_size"]
    for name, x in tensors(model, c):
        w.add_tensor(name, x)
    finish(w)


# Modules of an encoder there and here, in a layer and outside.
BERT = {"attention.self.query": "attn_q", "attention.self.key": "attn_k",
        "attention.self.value": "attn_v", "attention.output.dense": "attn_output",
        "attention.output.LayerNorm": "attn_output_norm", "intermediate.dense": "ffn_up",
        "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm",
        "embeddings.word_embeddings": "token_embd",
        "embeddings.position_embeddings": "position_embd",
        "embeddings.token_type_embeddings": "token_types",
        "embeddings.LayerNorm": "token_embd_norm"}


def bert_name(name):
    module, suffix = name.rsplit(".", 1)
    layer = ""
    if module.startswith("encoder.layer."):
        number, module = module[len("encoder.layer."):].split(".", 1)
        layer = "blk.%s." % number
    return "%s%s.%s" % (layer, BERT[module], suffix)


def bert(path, model):
    with open(os.path.join(model, "config.json")) as f:
        c = json.load(f)
    with open(os.path.join(model, "tokenizer.json")) as f:
        t = json.load(f)
    w = GGUFWriter(path, "bert")
    w.add_block_count(c["num_hidden_layers"])
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(c["hidden_size"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(c["num_attention_heads"])
    w.add_layer_norm_eps(c["layer_norm_eps"])
    w.add_causal_attention(False)
    w.add_pooling_type(PoolingType.CLS)
    added = {a["id"] for a in t["added_tokens"]}
    tokens = sorted(t["model"]["vocab"], key=t["model"]["vocab"].get)
    w.add_token_type_count(c["type_vocab_size"])
    w.add_tokenizer_model("bert")
    w.add_tokenizer_pre("default")
    w.add_token_list([x if i in added else x[2:] if x.startswith("##") else "\u2581" + x
                      for i, x in enumerate(tokens)])
    w.add_token_types([3 if i in added else 1 for i in range(len(tokens))])
    w.add_unk_token_id(tokens.index("[UNK]"))
    w.add_sep_token_id(tokens.index("[SEP]"))
    w.add_pad_token_id(tokens.index("[PAD]"))
    w.add_bos_token_id(tokens.index("[CLS]"))
    for name, x in load_file(os.path.join(model, "model.safetensors")).items():
        if not name.startswith("pooler."):
            w.add_tensor(bert_name(name), x)
    finish(w)


def text(s):
    s = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<Q", len(s)) + s


def key(name, kind, value):
    return text(name) + struct.pack("<I", kind) + value


def tensor(name, shape, kind, at):
    return text(name) + struct.pack("<I%dQIQ" % len(shape), len(shape), *shape, kind, at)


def raw(keys=(), tensors=(), data=b"", magic=b"GGUF", version=3, nkeys=None, ntensors=None):
    head = magic + struct.pack("<IQQ", version,
                               len(tensors) if ntensors is None else ntensors,
                               len(keys) if nkeys is None else nkeys)
    head += b"".join(keys) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + data


def bad(put):
    big = 2**64 - 1
    u32 = struct.pack("<I", 32)
    one = tensor("a", [4], 0, 0)
    put("empty", b"")
    put("magic", raw(magic=b"GGML"))
    put("version-1", raw(version=1))
    put("version-4", raw(version=4))
    put("big-endian", raw(version=3 << 24))
    put("key-count", raw(nkeys=big))
    put("tensor-count", raw(ntensors=2**61))
    put("key-length", raw([struct.pack("<Q", big) + b"abcd"]))
    put("key-empty", raw([key("", 4, u32)]))
    put("key-control", raw([key("a\nb", 4, u32)]))
    put("key-not-utf8", raw([key(b"a\xff", 4, u32)]))
    put("key-twice", raw([key("a", 4, u32), key("a", 4, u32)]))
    put("key-type", raw([key("a", 13, u32)]))
    put("text-length", raw([key("a", 8, struct.pack("<Q", 2**63) + b"x")]))
    put("array-count", raw([key("a", 9, struct.pack("<IQ", 10, 2**61 + 1))]))
    put("array-texts", raw([key("a", 9, struct.pack("<IQ", 8, 2) + text("x"))])[:50])
    put("array-nested", raw([key("a", 9, struct.pack("<IQ", 9, 1))]))
    put("array-type", raw([key("a", 9, struct.pack("<IQ", 99, 1))]))
    put("alignment-0", raw([key("general.alignment", 4, struct.pack("<I", 0))], [one], bytes(16)))
    put("alignment-3", raw([key("general.alignment", 4, struct.pack("<I", 3))], [one], bytes(16)))
    put("alignment-text", raw([key("general.alignment", 8, text("32"))], [one], bytes(16)))
    put("dims-0", raw([], [tensor("a", [], 0, 0)], bytes(16)))
    put("dims-5", raw([], [tensor("a", [1] * 5, 0, 0)], bytes(16)))
    put("shape-overflow", raw([], [tensor("a", [2**32, 2**32], 0, 0)], bytes(16)))
    put("shape-negative", raw([], [tensor("a", [2**63], 0, 0)], bytes(16)))
    put("bytes-overflow", raw([], [tensor("a", [2**61], 28, 0)], bytes(16)))
    put("block", raw([], [tensor("a", [33], 3, 0)], bytes(64)))
    put("type-removed", raw([], [tensor("a", [32], 4, 0)], bytes(64)))
    put("type-unknown", raw([], [tensor("a", [32], 1000, 0)], bytes(64)))
    put("offset-huge", raw([], [tensor("a", [4], 0, 2**63)], bytes(16)))
    put("offset-unaligned", raw([], [tensor("a", [4], 0, 4)], bytes(64)))
    put("overlap", raw([], [one, tensor("b", [4], 0, 0)], bytes(64)))
    put("hole", raw([], [one, tensor("b", [4], 0, 64)], bytes(96)))
    put("cut-data", raw([], [tensor("a", [8], 0, 0)], bytes(31)))
    put("cut-tensor", raw([], [one])[:40])
    put("name-twice", raw([], [one, tensor("a", [4], 0, 32)], bytes(64)))
    put("name-long", raw([], [tensor("a" * 300, [4], 0, 0)], bytes(64)))


def main():
    good = os.path.join(sys.argv[1], "gguf", "good")
    broken = os.path.join(sys.argv[1], "gguf", "bad")
    os.makedirs(good, exist_ok=True)
    os.makedirs(broken, exist_ok=True)
    types(os.path.join(good, "types.gguf"))
    values(os.path.join(good, "values.gguf"))
    written(os.path.join(good, "written.gguf"))
    split(os.path.join(good, "split.gguf"))
    for part in 1, 3:
        name = "-%05d-of-00003.gguf" % part
        shutil.copy(os.path.join(good, "split" + name), os.path.join(broken, "part" + name))
    llama(os.path.join(good, "llama.gguf"), os.path.join(sys.argv[1], "model", "llama-tied"))
    bert(os.path.join(good, "bert.gguf"), os.path.join(sys.argv[1], "encoder", "bert"))

    def put(name, data):
        with open(os.path.join(broken, name + ".gguf"), "wb") as f:
            f.write(data)
    bad(put)


if __name__ == "__main__":
    main()
