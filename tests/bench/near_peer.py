"""near_peer.py rensa|datasketch FILE - MB/s of a peer on what llm-dedup -t near does.

Five-word shingles, 144 permutations, threshold 0.8, reading the records included.
"""
import json
import re
import sys
import time

which, path = sys.argv[1:]
word = re.compile(r"\w+")
bands, rows = 16, 9


def shingles(text):
    w = word.findall(text.lower())
    return {" ".join(w[i : i + 5]) for i in range(max(1, len(w) - 4))}


def datasketch(lines):
    from datasketch import MinHash, MinHashLSH

    lsh = MinHashLSH(num_perm=bands * rows, params=(bands, rows))
    for i, line in enumerate(lines):
        m = MinHash(num_perm=bands * rows)
        m.update_batch([s.encode() for s in shingles(json.loads(line)["text"])])
        if not any(True for _ in lsh.query(m)):
            lsh.insert(i, m)


def rensa(lines):
    from rensa import RMinHash, RMinHashLSH

    lsh = RMinHashLSH(threshold=0.8, num_perm=bands * rows, num_bands=bands)
    for i, line in enumerate(lines):
        m = RMinHash(num_perm=bands * rows, seed=1)
        m.update(list(shingles(json.loads(line)["text"])))
        if not lsh.query(m):
            lsh.insert(i, m)


start = time.perf_counter()
with open(path, "rb") as f:
    data = f.read()
{"datasketch": datasketch, "rensa": rensa}[which](data.splitlines())
print("%.2f" % (len(data) / (time.perf_counter() - start) / 1e6))
