"""textdedup.py FILE J - what text-dedup's MinHash takes: MB/s and KiB, on two processes.

Its documented settings: 240 permutations, shingles of five words, 64 bits, and
false positives checked by the true similarity.
"""
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
        out = os.path.join(d, "out")
        with open(os.path.join(d, "config.toml"), "w") as f:
            f.write(CONFIG.format(path=json.dumps(os.path.abspath(path)), out=json.dumps(out),
                                  cache=json.dumps(os.path.join(d, "cache")), j=j))
        seconds, kib = watched([sys.executable, "-m", "text_dedup.minhash"], cwd=d)
        return seconds, kib, set(load_from_disk(out)["id"])


if __name__ == "__main__":
    seconds, kib, _ = dedup(sys.argv[1], sys.argv[2])
    print("%.3f %d" % (os.path.getsize(sys.argv[1]) / seconds / 1e6, kib))
