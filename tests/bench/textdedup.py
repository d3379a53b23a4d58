"""textdedup.py FILE J - what text-dedup's MinHash takes: MB/s and KiB, on two processes.

Its documented settings: 240 permutations, shingles of five words, 64 bits.  From 0.4.1
on it is told so in a file, and checks false positives by the true similarity; 0.4.0,
the last for Python before 3.12, has options, and no such check.
"""
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time

CONFIG = """
[input]
input_type = "local_files"
file_type = "json"
[input.read_arguments]
path = "json"
data_files = {path}
split = "train"
cache_dir = {cache}
[algorithm]
algorithm_name = "minhash"
text_column = "text"
num_perm = 240
threshold = {j}
ngram_size = 5
min_length = 0
check_false_positive = true
num_proc = 2
[output]
output_dir = {out}
[debug]
"""


def command(path, j, d):
    """What to run in directory d, to leave what is kept in d/out."""
    run = [sys.executable, "-m", "text_dedup.minhash"]
    path, out, cache = os.path.abspath(path), os.path.join(d, "out"), os.path.join(d, "cache")
    if importlib.metadata.version("text-dedup") < "0.4.1":
        return run + ["--path", "json", "--data_files", path, "--split", "train", "--column", "text",
                      "--cache_dir", cache, "--output", out, "--threshold", str(j), "--ngram", "5",
                      "--num_perm", "240", "--min_length", "0", "--num_proc", "2"]
    with open(os.path.join(d, "config.toml"), "w") as f:
        f.write(CONFIG.format(path=json.dumps(path), out=json.dumps(out), cache=json.dumps(cache), j=j))
    return run


def watched(command, **more):
    """Seconds, and KiB at most, of a command; what a process had before exec is not counted."""
    start, most = time.perf_counter(), 0
    with tempfile.TemporaryFile() as said:
        p = subprocess.Popen([str(c) for c in command], stdout=said, stderr=said, **more)
        while p.poll() is None:
            with open(f"/proc/{p.pid}/status") as f:
                most = max([most] + [int(x.split()[1]) for x in f if x.startswith("VmHWM")])
            time.sleep(0.005)
        seconds = time.perf_counter() - start
        said.seek(0)
        if p.returncode != 0:
            raise RuntimeError(said.read().decode(errors="replace")[-2000:])
    return seconds, most


def dedup(path, j):
    """Seconds, KiB at most of its first process, and the ids it keeps."""
    from datasets import load_from_disk

    with tempfile.TemporaryDirectory() as d:
        seconds, kib = watched(command(path, j, d), cwd=d)
        return seconds, kib, set(load_from_disk(os.path.join(d, "out"))["id"])


if __name__ == "__main__":
    seconds, kib, _ = dedup(sys.argv[1], sys.argv[2])
    print("%.3f %d" % (os.path.getsize(sys.argv[1]) / seconds / 1e6, kib))
