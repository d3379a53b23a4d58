#!/usr/bin/env python3
"""Time llm-tokenize, llm-detokenize and llm-vocab beside their peers.

usage: tokenize_peer.py RUNS DIR [ROW ...]     (scripts/bench-tokenize calls it)

DIR has the corpora, on a RAM disk if it can be.  Rows are those whose names
begin with one of ROW.
"""
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time

os.environ.update(TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1")

import tiktoken
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from machine import hold

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.path.join(os.path.dirname(ROOT), "shared", "data", "tokenizers")
RUNS, TMP, ROWS = int(sys.argv[1]), sys.argv[2], tuple(sys.argv[3:])
GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
SLOW = 2_000_000  # bytes of text that slow peers get
short = False


def note(text):
    print(f"bench-tokenize: {text}", file=sys.stderr, flush=True)


def wanted(name):
    return not ROWS or name.startswith(ROWS) or any(r.startswith(name) for r in ROWS)


def row(name, ours, peer, goal, unit, better=1):
    """better: 1 when more is better, -1 when less is."""
    global short
    ratio = (ours / peer) ** better
    short |= ratio < goal
    print(f"{name}\t{ours:.4g}\t{peer:.4g}\t{ratio:.3g}\t{goal}\t{unit}\t{RUNS}", flush=True)


def cpu(*command):
    """Processor seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def wall(*command):
    start = time.perf_counter()
    cpu(*command)
    return time.perf_counter() - start


def timed(f):
    before = time.process_time()
    f()
    return time.process_time() - before


def median_each(*functions):
    """Medians of what each returns, called in turns."""
    with hold():
        got = [[f() for f in functions] for _ in range(RUNS)]
    return [statistics.median(column) for column in zip(*got)]


def path(name):
    return os.path.join(TMP, name)


def read_texts(corpus, limit=None):
    """Texts of the first records, at most so many bytes of them but at least one."""
    texts, n = [], 0
    with open(path(corpus + ".jsonl"), encoding="utf-8") as f:
        for line in f:
            text = json.loads(line)["text"]
            n += len(text.encode())
            if limit is not None and n > limit and texts:
                break
            texts.append(text)
    return texts


def size_of(texts):
    return sum(len(t.encode()) for t in texts)


def file_of(texts, name):
    with open(path(name), "w", encoding="utf-8") as f:
        for t in texts:
            f.write(json.dumps({"text": t}, ensure_ascii=False) + "\n")
    return path(name)


# ---- tokenizers ----

class Model:
    """A tokenizer as our tools and the peers have it."""

    def __init__(self, name, where):
        self.name, self.where = name, where
        self.file = self.hf = self.tik = self.giga = self.spm = None
        if where.endswith(".model"):
            self.load_sentencepiece()
            return
        command = ["zstd", "-dc", where] if where.endswith(".zst") else ["cat", where]
        self.file = subprocess.run(command, check=True, capture_output=True).stdout.decode()
        self.hf = Tokenizer.from_str(self.file)
        self.hf.encode_special_tokens = True
        self.tik = self.as_tiktoken()
        self.load_gigatoken()

    def load_sentencepiece(self):
        if importlib.util.find_spec("sentencepiece") is None:
            note(f"{self.name}: no sentencepiece")
            return
        import sentencepiece
        self.spm = sentencepiece.SentencePieceProcessor(model_file=self.where)

    def load_gigatoken(self):
        if importlib.util.find_spec("gigatoken") is None:
            note(f"{self.name}: no gigatoken")
            return
        try:
            self.giga = self.new_gigatoken()
        except Exception as why:  # it says what it has not in many ways
            note(f"{self.name}: gigatoken does not read it: {why}")

    def new_gigatoken(self):
        import gigatoken
        return gigatoken.Tokenizer.from_json(self.file)

    def as_tiktoken(self):
        doc = json.loads(self.file)
        if doc["model"]["type"] != "BPE" or doc["model"].get("byte_fallback"):
            return None
        pattern = GPT2
        for part in (doc["pre_tokenizer"] or {}).get("pretokenizers", []):
            if part["type"] == "Split":
                pattern = part["pattern"]["Regex"]
        plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
        other = [b for b in range(256) if b not in plain]
        chars = {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(other)}
        special = {t["content"]: t["id"] for t in doc["added_tokens"]}
        ranks = {bytes(chars[c] for c in s): i for s, i in doc["model"]["vocab"].items()
                 if s not in special}
        return tiktoken.Encoding(self.name, pat_str=pattern, mergeable_ranks=ranks,
                                 special_tokens=special)

    def peers(self, texts):
        """Of each its name, seconds for its part of the texts, goal in English, that part."""
        if self.giga is not None:
            data = [t.encode() for t in texts]

            def encode(tokenizer):
                return timed(lambda: tokenizer.encode_batch(data, parallel=False))

            # Its cache is full of these texts, and empty, as ours is.
            yield "gigatoken", lambda: encode(self.giga), 1, texts
            yield "gigatoken-new", lambda: encode(self.new_gigatoken()), 1, texts
        few = read_part(texts)
        if self.tik is not None:
            yield "tiktoken", lambda: timed(
                lambda: [self.tik.encode_ordinary(t) for t in few]), 40, few
        if self.hf is not None:
            yield "tokenizers", lambda: timed(lambda: self.hf.encode_batch_fast(
                few, add_special_tokens=False)), 100, few
        if self.spm is not None:
            yield "sentencepiece", lambda: timed(lambda: self.spm.encode(few)), 1, few


def read_part(texts):
    n = 0
    for i, t in enumerate(texts):
        n += len(t.encode())
        if n > SLOW:
            return texts[: max(i, 1)]
    return texts


def models_here():
    own = os.path.join(ROOT, "obj", "tokenizers")
    known = {
        "gpt2": os.path.join(own, "gpt2.json"),
        "llama3": os.path.join(own, "llama3.json"),
        "qwen3": os.path.join(SHARED, "qwen3.tokenizer.json.zst"),
        "o200k": os.path.join(SHARED, "gpt4o.tokenizer.json.zst"),
        "llama2": os.path.join(SHARED, "llama2.tokenizer.json.zst"),
        "mistral": os.path.join(own, "mistral.model"),
        "unigram": path("unigram.model"),
    }
    for name, where in known.items():
        if not any(wanted(f"{name}-{what}") for what in
                   ("english", "code", "mixed", "start", "worst", "threads", "memory",
                    "detokenize")):
            continue
        if name == "unigram":
            train_unigram(where)
        if not os.path.exists(where):
            note(f"{name}: no {os.path.relpath(where, ROOT)}: run scripts/get-tokenizers")
            continue
        why = subprocess.run(["llm-tokenize", "-q", "-m", where, "-F", "ids", "/dev/null"],
                             capture_output=True, text=True).stderr.strip()
        if why:
            note(f"{name}: passed over: {why}")
            continue
        yield Model(name, where)


def train_unigram(where):
    if importlib.util.find_spec("sentencepiece") is None:
        return
    import sentencepiece
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter("\n".join(read_texts("mixed", 3_000_000)).split("\n")),
        model_prefix=where[: -len(".model")], vocab_size=16000, model_type="unigram",
        byte_fallback=True, minloglevel=2)


# ---- encoding ----

def our_ids(where, file):
    out = subprocess.run(["llm-tokenize", "-q", "-m", where, "-F", "ids", file], check=True,
                         capture_output=True).stdout.decode().splitlines()
    return [[int(i) for i in line.split()] for line in out]


def check(model, corpus, few):
    """Rank files merge by rank and others by their list: tiktoken may differ a little."""
    want = our_ids(model.where, file_of(few, "few.jsonl"))
    if model.hf is not None:
        got = [e.ids for e in model.hf.encode_batch_fast(few, add_special_tokens=False)]
        if got != want:
            sys.exit(f"bench-tokenize: {model.name}-{corpus}: tokenizers has other ids")
    if model.spm is not None and model.spm.encode(few) != want:
        sys.exit(f"bench-tokenize: {model.name}-{corpus}: sentencepiece has other ids")
    if model.tik is not None and [model.tik.encode_ordinary(t) for t in few] != want:
        note(f"{model.name}-{corpus}: tiktoken has other ids")


def encoding(model, corpus):
    file = path(corpus + ".jsonl")
    texts = read_texts(corpus)
    size = size_of(texts)
    check(model, corpus, read_part(texts))
    peers = list(model.peers(texts))

    def ours(*input):
        return lambda: cpu("llm-tokenize", "-q", "-m", model.where, "-o", path("shard"), *input)

    start, mine, *times = median_each(ours("/dev/null"), ours(file), *(p[1] for p in peers))
    rate = size / 1e6 / (mine - start)
    sentence = model.tik is None
    bar = 100 if sentence else 600 if corpus == "english" else 250
    row(f"{model.name}-{corpus}-bar", rate, bar, 1, "MB/s")
    for (name, _, goal, part), seconds in zip(peers, times):
        fair = goal if corpus == "english" and not sentence else 1
        row(f"{model.name}-{corpus}-{name}", rate, size_of(part) / 1e6 / seconds, fair, "MB/s")


def start_up(model):
    bar = 50 if model.name in ("gpt2", "llama2", "mistral", "unigram") else 250

    def hugging_face():
        return timed(lambda: Tokenizer.from_str(model.file)) * 1e3

    functions = [lambda: 1e3 * cpu("llm-tokenize", "-q", "-m", model.where, "/dev/null")]
    if model.file is not None:
        functions.append(hugging_face)
    mine, *peer = median_each(*functions)
    row(f"{model.name}-start-bar", mine, bar, 1, "ms", -1)
    if peer:
        row(f"{model.name}-start-tokenizers", mine, peer[0], 1, "ms", -1)


def spin():
    return [sys.executable, "-c", "for i in range(6000000): pass"]


def both(command):
    """Seconds for two at once."""
    start = time.perf_counter()
    for p in [subprocess.Popen(command) for _ in range(2)]:
        p.wait()
    return time.perf_counter() - start


def threads(model):
    if os.cpu_count() < 2:
        note("threads: one processor")
        return
    file = path("english.jsonl")

    def tokenize(n, input):
        return lambda: wall("llm-tokenize", "-q", "-j", n, "-m", model.where, "-o",
                            path("shard"), input)

    start, one, two, alone, pair = median_each(
        tokenize("1", "/dev/null"), tokenize("1", file), tokenize("2", file),
        lambda: wall(*spin()), lambda: both(spin()))
    row(f"{model.name}-threads-calibration", (one - start) / (two - start), 2 * alone / pair,
        round(1.8 / 1.9, 3), "times one")


def worst(model):
    """A text of 1 MB of whatever takes no longer than 20 times plain text of that size."""
    million = 1_000_000
    plain = "".join(read_texts("english", 3 * million))
    texts = {
        "plain": plain[:million], "letter": "a" * million, "space": " " * million,
        "newline": "\n" * million, "digit": "1" * million, "caret": "^" * million,
        "accent": "\u0301" * (million // 2), "zeros": "0\u200b" * (million // 4),
        "han": "\u4e2d" * (million // 3), "pair": "ab" * (million // 2), "quote": "'" * million,
        "letter-space": "a " * (million // 2),
    }
    files = {k: file_of([t], f"worst-{k}.jsonl") for k, t in texts.items()}

    def ours(file):
        return lambda: cpu("llm-tokenize", "-q", "-m", model.where, file)

    start, *times = median_each(ours("/dev/null"), *(ours(f) for f in files.values()))
    seconds = {k: max(t - start, 1e-4) for k, t in zip(files, times)}
    for k in list(files)[1:]:
        row(f"{model.name}-worst-{k}", 1e3 * seconds[k], 1e3 * seconds["plain"], 0.05, "ms", -1)


def memory(model):
    """Peak memory when most of a pipe was read, and when a tenth of it was."""
    with open(path("english.jsonl"), "rb") as f:
        data = f.read()
    times = max(10, (10_000_000_000 if RUNS >= 5 else 2_000_000_000) // len(data))
    peaks = []
    with subprocess.Popen(["llm-tokenize", "-q", "-m", model.where], stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL) as p:
        for i in range(times):
            p.stdin.write(data)
            if i + 1 in (times // 10, times):
                with open(f"/proc/{p.pid}/status", encoding="ascii") as f:
                    peaks += [int(s.split()[1]) / 1e3 for s in f if s.startswith("VmHWM")]
    tenth, whole = peaks
    row(f"{model.name}-memory-flat", whole, tenth, 0.95, "MB", -1)


# ---- decoding ----

def detokenize(model):
    texts = read_texts("english")
    size = size_of(texts)
    shard, empty = path("in.shard"), path("empty.shard")
    cpu("llm-tokenize", "-q", "-m", model.where, "-o", shard, path("english.jsonl"))
    cpu("llm-tokenize", "-q", "-m", model.where, "-o", empty, "/dev/null")
    few = read_part(texts)
    ids = our_ids(model.where, file_of(few, "few.jsonl"))

    def ours(input):
        return lambda: cpu("llm-detokenize", "-q", "-m", model.where, input)

    start, mine, hf, tik = median_each(
        ours(empty), ours(shard), lambda: timed(lambda: model.hf.decode_batch(ids)),
        lambda: timed(lambda: [model.tik.decode(i) for i in ids]))
    rate = size / 1e6 / (mine - start)
    row(f"{model.name}-detokenize-bar", rate, 500, 1, "MB/s")
    row(f"{model.name}-detokenize-tokenizers", rate, size_of(few) / 1e6 / hf, 1, "MB/s")
    row(f"{model.name}-detokenize-tiktoken", rate, size_of(few) / 1e6 / tik, 1, "MB/s")


# ---- training ----

def train(texts):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=4096, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t


def vocab():
    """The trainers are to agree; where pairs are equally frequent they need not."""
    texts = read_texts("english", 10_000_000)
    file, where = file_of(texts, "vocab.jsonl"), path("tok")

    def ours():
        return cpu("llm-vocab", "-q", "-j", "1", "-n", "4096", "-o", where, file)

    mine, peer = median_each(ours, lambda: timed(lambda: train(texts)))
    a = sum(map(len, our_ids(where, file)))
    b = sum(len(e.ids) for e in train(texts).encode_batch_fast(texts))
    if abs(a - b) > 0.001 * b:
        sys.exit(f"bench-tokenize: vocab: {a} tokens, with the peer's {b}")
    size = size_of(texts) / 1e6
    row("vocab-tokenizers", size / mine, size / peer, 3, "MB/s")


def main():
    for model in models_here():
        for corpus in "english", "code", "mixed":
            if wanted(f"{model.name}-{corpus}"):
                encoding(model, corpus)
        if wanted(f"{model.name}-start"):
            start_up(model)
        if model.name in ("gpt2", "qwen3", "o200k") and wanted(f"{model.name}-worst"):
            worst(model)
        if model.name != "gpt2":
            continue
        for part in threads, memory, detokenize:
            if wanted(f"gpt2-{part.__name__}"):
                part(model)
    if wanted("vocab"):
        vocab()
    return 1 if short else 0


sys.exit(main())
