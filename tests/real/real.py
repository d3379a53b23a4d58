"""What the tests against other people's software share: TAP and runs of tools.

They are scripts for prove, run by `make check-real' with the Python that
scripts/get-peers made; $PATH has the tools.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_PROGRESS_BARS="1",
                  TOKENIZERS_PARALLELISM="false", CUDA_VISIBLE_DEVICES="")

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.path.join(os.path.dirname(ROOT), "shared", "data")
CLOSE = 1e-4		# of the largest logit in fp32; sums in another order move them by 1e-6
_count = 0

try:
    import llama_cpp as L
    _quiet = L.llama_log_callback(lambda level, text, data: None)
    L.llama_log_set(_quiet, None)
except ImportError:
    L = None


class Dir:
    """A directory of this run's own, and the paths in it."""

    def __init__(self):
        self.path = tempfile.mkdtemp()

    def __call__(self, *name):
        return os.path.join(self.path, *name)


tmp = Dir()


def ok(good, what, why=""):
    global _count
    _count += 1
    print("ok" if good else "not ok", _count, "-", what, flush=True)
    if not good:
        for line in str(why).splitlines()[:20]:
            print("#", line, flush=True)
    return good


def skip(what, why):
    global _count
    _count += 1
    print("ok", _count, "-", what, "# SKIP", why, flush=True)


def done():
    shutil.rmtree(tmp.path)
    print(f"1..{_count}")


def run(*command, exits=0, stdin=b""):
    """Run a tool, which has to end so; what it wrote, as bytes."""
    p = subprocess.run([str(c) for c in command], input=stdin, capture_output=True)
    if p.returncode != exits:
        sys.exit(f"{' '.join(map(str, command))}: exit {p.returncode}\n{p.stderr.decode()}")
    return p.stdout


def refused(what, command, *words):
    """The tool ends with 2 and one message, which has all the words."""
    p = subprocess.run([str(c) for c in command], input=b"", capture_output=True)
    err = p.stderr.decode(errors="replace")
    ok(p.returncode == 2 and err.count("\n") == 1 and all(w in err for w in words) and
       not p.stdout, what, f"exit {p.returncode}, not 2 with {words}: {err}")
    return err


def write_jsonl(path, texts):
    with open(path, "w", encoding="utf-8") as f:
        for t in texts:
            f.write(json.dumps({"text": t}, ensure_ascii=False) + "\n")


def read_jsonl(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line)["text"] for line in f]


def corpus(full=False):
    """Records of English: the demo's where it has been made and all of it is
    asked for, else the manual's pages."""
    made = os.path.join(ROOT, "demo", "corpus.jsonl")
    if full and os.path.exists(made):
        return made
    path = tmp("corpus.jsonl")
    if not os.path.exists(path):
        run("llm-extract", "-o", path, os.path.join(ROOT, "man"))
    return path


def our_logits(model, ids, vocab):
    """Logits (T, V) of these ids by llm-eval."""
    import numpy
    from safetensors.torch import load_file

    numpy.array(ids, "<u2").tofile(tmp("ids.bin"))
    run("llm-shard", "-t", "import", "-F", "nanogpt", "--vocab", vocab, "-o", tmp("ids.shard"),
        tmp("ids.bin"))
    run("llm-eval", "-t", "logits", "-m", model, "-o", tmp("logits"), tmp("ids.shard"))
    got = load_file(tmp("logits"))
    if got["tokens"].tolist() != list(ids):
        sys.exit("llm-eval has not measured the ids that it was given")
    return got["logits"]


def their_logits(model, ids):
    import torch

    with torch.no_grad():
        return model(torch.tensor([list(ids)])).logits[0].float()


def same_logits(what, model, where, ids, close=CLOSE):
    ours, theirs = our_logits(where, ids, model.config.vocab_size), their_logits(model, ids)
    far = (ours - theirs).abs().max().item()
    close *= max(1, theirs.abs().max().item())
    ok(far <= close, f"{what}: logits differ by {far:.1e} of {theirs.abs().max():.2g}",
       f"at most {close} was promised")
