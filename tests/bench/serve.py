#!/usr/bin/env python3
"""Time servers under load (scripts/bench-serve calls it).

usage: serve.py [--quick] MODEL PEERS PATTERN

Each part is a file of requests that tests/serve/load sends to a server, and writes a
record about each.  HOLD is a command that keeps other work off the machine while its
arguments run.
"""
import atexit
import contextlib
import json
import math
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from machine import hold

QUICK = '--quick' in sys.argv
MODEL, PEERS, PATTERN = [a for a in sys.argv[1:] if a != '--quick']
RUNS = 1 if QUICK else 5
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
BIN, LOAD = os.path.join(ROOT, 'bin'), os.path.join(ROOT, 'obj', 'tests', 'serve', 'load')
LLAMA = os.path.join(PEERS, 'llama.cpp', 'build', 'bin', 'llama-server')
CLIENTS, SHARED, ANSWER, PREFIX, SLOT = 32, 500, 128, 2000, 2560
THREADS = str(min(2, len(os.sched_getaffinity(0))))
# The best that was found for it: a slot for each client with a cache of its own; one cache
# for all (--kv-unified) has six tenths of the tokens a second.
LLAMA_OPTIONS = ['-np', str(CLIENTS), '-c', str(CLIENTS * SLOT), '-cb', '-fa', 'on', '-t', THREADS,
                 '-tb', THREADS, '-b', '2048', '-ub', '512', '--cache-reuse', '64', '--no-webui']
# Times of the peer's.  Bar of a mixed load: the part of interactive requests in time.
GOAL = {'clients': 2, 'first': 2, 'one': 1, 'generate': 1, 'prefix': 10}
# Times of what llm-serve does without guesses: texts that quote, by clients, and others.
QUOTING, PROSE = {1: 2, 4: 1.3, 8: 1.05, 16: 1}, 0.98
IN_TIME, PATIENCE = 0.95, 10
ADVANCE = 0.3	# of what the others do, first come, first served
failed = False


def wanted(name):
    return re.search(PATTERN, name)


def row(name, ours, peer, goal, unit, lower=False):
    global failed
    ratio = (peer / ours if lower else ours / peer) if ours and peer else 0
    failed = failed or ratio < goal
    print(f'{name}\t{ours:.4g}\t{peer:.4g}\t{ratio:.3f}\t{goal:.3g}\t{unit}\t{RUNS}', flush=True)


class Server:
    """One that is started for a part, and ended."""

    def __init__(self, command, port):
        # What is said must not wait for a reader, as a pipe would let it.
        self.p = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        atexit.register(self.p.kill)	# also where the bench fails
        for _ in range(1200):
            if self.p.poll() is not None:
                sys.exit('serve.py: it ends: ' + ' '.join(command))
            self.port = self.port_of(port)
            with contextlib.suppress(OSError, urllib.error.URLError):
                if self.port and self.get('/health').status == 200:
                    return
            time.sleep(0.05)
        sys.exit('serve.py: not ready: ' + ' '.join(command))

    @staticmethod
    def port_of(port):
        if isinstance(port, int):
            return port
        with contextlib.suppress(OSError, ValueError):
            with open(port, encoding='ascii') as f:
                return int(f.read())
        return 0

    def get(self, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f'http://127.0.0.1:{self.port}{path}', data,
                                         {'Content-Type': 'application/json'})
        return urllib.request.urlopen(request, timeout=120)

    def replay(self, requests, connections):
        """Send them; records, and the seconds from the first to the last."""
        with tempfile.NamedTemporaryFile('w', suffix='.jsonl') as f:
            for r in requests:
                f.write(json.dumps(r) + '\n')
            f.flush()
            p = subprocess.run([LOAD, '--replay', f.name, '-c', str(connections), '--patience',
                                '600s', str(self.port)], text=True, stdout=subprocess.PIPE)
        if p.returncode != 0:
            sys.exit(f'serve.py: load exits {p.returncode}')
        records = [json.loads(line) for line in p.stdout.splitlines()]
        return records, max(r['at'] + r['total'] for r in records)

    def end(self):
        self.p.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.p.wait(20)
            return
        self.p.kill()
        self.p.wait()


class Ours(Server):
    name = 'llm-serve'

    def __init__(self, *options):
        port = os.path.join(WORK, 'port')
        with contextlib.suppress(OSError):
            os.remove(port)
        super().__init__([os.path.join(BIN, 'llm-serve'), '-q', '-m', MODEL, '--port', '0',
                          '--port-file', port, '--parallel', str(CLIENTS), '--waiting', '4096',
                          '-j', THREADS, *options], port)


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as s:
        return s.getsockname()[1]


class Llama(Server):
    name = 'llama-server'

    def __init__(self):
        port = free_port()
        super().__init__([LLAMA, '-m', MODEL, '--host', '127.0.0.1', '--port', str(port),
                          *LLAMA_OPTIONS], port)


def contestants():
    yield Ours
    if os.access(LLAMA, os.X_OK):
        yield Llama


def words(n, seed):
    """English of about n words, another for each seed."""
    names = ('harbour', 'lantern', 'captain', 'letter', 'garden', 'window', 'river', 'market',
             'teacher', 'mountain', 'bridge', 'morning', 'winter', 'engine', 'village', 'song')
    verbs = ('carries', 'remembers', 'opens', 'follows', 'repairs', 'watches', 'paints', 'finds')
    out, x = [], seed * 2654435761 % 2 ** 32 or 1
    while len(out) < n:
        x = (x * 1103515245 + 12345) % 2 ** 31
        out += ['the', names[x // 7 % 16], verbs[x // 113 % 8], 'the', names[x // 1009 % 16] + '.']
    return ' '.join(out[:n])


def text_of(server, tokens, seed):
    """A text of so many tokens."""
    text = words(tokens, seed)
    with server.get('/tokenize', {'content': text}) as answer:
        ids = json.load(answer)['tokens']
    with server.get('/detokenize', {'tokens': ids[:tokens]}) as answer:
        return json.load(answer)['content']


def request(prompt, count, shared=None, **more):
    """A stream of so many tokens; with shared, a chat whose system prompt that is."""
    body = {'max_tokens': count, 'temperature': 0, 'ignore_eos': True, 'stream': True,
            'stream_options': {'include_usage': True}}
    if shared is None:
        return {'path': '/v1/completions', 'body': {'prompt': prompt, **body}, **more}
    messages = [{'role': 'system', 'content': shared}, {'role': 'user', 'content': prompt}]
    return {'path': '/v1/chat/completions', 'body': {'messages': messages, **body}, **more}


def good(records, count=None):
    for r in records:
        if r['end'] != 'answered' or r['status'] != 200 or (count and r['completion'] != count):
            sys.exit(f'serve.py: a request fails: {r}')
    return records


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def medians(runs):
    return [statistics.median(x) for x in zip(*runs)]


def compare(name, rows, results):
    """rows: of each number of a result, its name, goal, unit and whether less is better."""
    for i, (what, goal, unit, lower) in enumerate(rows):
        if 'llama-server' in results:
            row(f'{name}/{what}', results['llm-serve'][i], results['llama-server'][i], goal, unit,
                lower)
        else:
            print(f"# {name}/{what}: {results['llm-serve'][i]:.4g} {unit}; no llama-server",
                  flush=True)


def many_clients():
    """Tokens a second of all; seconds to the first token."""
    name = f'{CLIENTS}-clients'
    if not wanted(name):
        return
    results = {}
    for contestant in contestants():
        server = contestant()
        shared, runs = text_of(server, SHARED, 1), []
        server.replay([request('Hello.', 4, shared)], 1)
        for run in range(RUNS):
            ask = [request(words(12, 1000 * run + i + 2), ANSWER, shared)
                   for i in range(CLIENTS * (1 if QUICK else 3))]
            with hold():
                records, seconds = server.replay(ask, CLIENTS)
            first = [r['first'] for r in good(records, ANSWER)]
            runs.append((sum(r['completion'] for r in records) / seconds,
                         statistics.median(first), quantile(first, 0.99)))
        results[server.name] = medians(runs)
        server.end()
    compare(name, (('tokens', GOAL['clients'], 'tokens/s', False),
                   ('first-token', GOAL['first'], 's', True),
                   ('first-token-p99', GOAL['first'], 's', True)), results)


def generate(prompt):
    p = subprocess.run([f'{BIN}/llm-generate', '-m', MODEL, '-p', prompt, '-n', str(ANSWER), '-T',
                        '0', '--ignore-eos', '-v', '-j', THREADS], check=True, text=True,
                       capture_output=True)
    return float(re.search(r'more at ([0-9.]+) a second', p.stderr)[1])


def one_client():
    name = '1-client'
    if not wanted(name):
        return
    results, runs = {}, []
    for contestant in contestants():
        server = contestant()
        rates = []
        for run in range(RUNS + 1):
            prompt = words(40, run + 1)
            with hold():
                r, = good(server.replay([request(prompt, ANSWER)], 1)[0], ANSWER)
                if server.name == 'llm-serve' and run > 0:
                    runs.append(generate(prompt))
            if run > 0:
                rates.append(((ANSWER - 1) / (r['total'] - r['first']), r['first']))
        results[server.name] = medians(rates)
        server.end()
    row(f'{name}/beside-generate', results['llm-serve'][0], statistics.median(runs),
        GOAL['generate'], 'tokens/s')
    compare(name, (('tokens', GOAL['one'], 'tokens/s', False),
                   ('first-token', GOAL['one'], 's', True)), results)


def same_prefix():
    """The first token behind a prefix that is new, and behind one that was there."""
    name = 'prefix'
    if not wanted(name):
        return
    results = {}
    for contestant in contestants():
        server = contestant()
        runs = []
        for run in range(RUNS):
            prefix = text_of(server, PREFIX, 77 + run)
            with hold():
                times = [good(server.replay([request(prefix + tail, 4)], 1)[0])[0]['first']
                         for tail in (' Why?', ' Who?')]
            runs.append(times)
        results[server.name] = medians(runs)
        server.end()
    row(f'{name}/second-beside-first', results['llm-serve'][1], results['llm-serve'][0],
        GOAL['prefix'], 's', True)
    compare(name, (('first', GOAL['one'], 's', True), ('second', GOAL['one'], 's', True)), results)


def quotation(seed):
    """A text that has begun to say again what it said twice."""
    text = words(30, seed)
    return '\n\n'.join((text, text, ' '.join(text.split()[:8])))


def guesses():
    """Tokens a second of all with guesses by lookup, and without."""
    for clients, goal in QUOTING.items():
        for kind, make, temperature in (('quotes', quotation, 0),
                                        ('prose', lambda seed: f'Story {seed}. Once', 1)):
            name = f'guesses/{kind}-{clients}'
            if not wanted(name):
                continue
            plain, guessing, runs = Ours(), Ours('--lookup', '8'), []
            for run in range(RUNS + 1):
                ask = [request(make(1000 * run + i), ANSWER) for i in range(clients)]
                for i, r in enumerate(ask):
                    r['body'].update(temperature=temperature, seed=i)
                with hold():
                    both = [server.replay(ask, clients) for server in (guessing, plain)]
                runs.append([sum(r['completion'] for r in good(records, ANSWER)) / seconds
                             for records, seconds in both])
            plain.end()
            guessing.end()
            # The first one learns what it takes.
            ours, peer = medians(runs[1:])
            row(name, ours, peer, goal if kind == 'quotes' else PROSE, 'tokens/s')


def mixed_load(rate, seconds, mark):
    """Requests that come at random times; mark(class) gives what tells their class."""
    ask, x = [], 12345
    for kind, each, length, count in (('interactive', rate * 0.3 / 16, 24, 16),
                                      ('batch', rate / 64, 120, 64)):
        at, i = 0.0, 0
        while True:
            x = (x * 6364136223846793005 + 1442695040888963407) % 2 ** 64
            at += -1 / each * math.log(((x >> 11) + 1) / 2 ** 53)
            if at > seconds:
                break
            i += 1
            # None begins like another one, whose prefix would be found.
            r = request(words(length, i * 2 + (count == 16)), count, at=at, **{'class': kind})
            r.update(mark(kind))
            ask.append(r)
    return sorted(ask, key=lambda r: r['at'])


def make_keys(path):
    keys = {}
    for kind in ('interactive', 'batch'):
        keys[kind] = subprocess.run([f'{BIN}/llm-serve', '--api-key-file', path, '--new-key',
                                     f'{kind} class={kind}'], check=True, text=True,
                                    stdout=subprocess.PIPE).stdout.strip()
    return keys


def mixed(options, ask, deadline):
    """The part of interactive requests in time, and tokens a second of the others."""
    server = Ours(*options)
    with hold():
        records, _ = server.replay(ask, 4096)
    server.end()
    over = max(r['at'] for r in records)
    quick = [r for r in records if r['class'] == 'interactive']
    met = sum(r['status'] == 200 and 0 <= r['first'] <= deadline for r in quick)
    batch = [r for r in records if r['class'] == 'batch' and r['at'] + r['total'] <= over]
    return met / len(quick), sum(r['completion'] for r in batch if r['status'] == 200) / over


def capacity():
    """Tokens a second of batch requests alone; seconds to the first token of one alone."""
    server = Ours()
    with hold():
        records, took = server.replay([request(words(120, i), 64) for i in range(64)], CLIENTS)
        alone = [good(server.replay([request(words(24, 500 + i), 16)], 1)[0])[0]['first']
                 for i in range(5)]
    server.end()
    return sum(r['completion'] for r in good(records)) / took, statistics.median(alone)


def overload():
    """1.3 times of what can be done: interactive requests have to be in time, others go on."""
    name = 'overload'
    if not wanted(name):
        return
    seconds = 15 if QUICK else 40
    path = os.path.join(WORK, 'keys')
    keys = make_keys(path)
    runs = []
    for _ in range(RUNS):
        rate, alone = capacity()
        ours = mixed(['--api-key-file', path], mixed_load(rate, seconds, lambda kind:
                                                          {'key': keys[kind]}), PATIENCE * alone)
        fcfs = mixed([], mixed_load(rate, seconds, lambda kind: {}), PATIENCE * alone)
        runs.append((*ours, *fcfs, rate, alone))
    met, batch, plain_met, plain_batch, rate, alone = medians(runs)
    print(f'# {name}: {rate:.0f} tokens/s of batch can be done, and 1.3 times of it come, 0.3 of '
          f'them interactive; in time is a first token within {PATIENCE * alone:.2f} s, '
          f'{PATIENCE} times what it takes alone; peer: first come, first served', flush=True)
    row(f'{name}/interactive-in-time', met, max(plain_met, 1e-3), IN_TIME / max(plain_met, 1e-3),
        'part')
    row(f'{name}/batch', batch, max(plain_batch, 1e-3), ADVANCE, 'tokens/s')


def main():
    print(f'# SmolLM2-135M, Q4_1, {THREADS} threads; peer: llama-server '
          + ' '.join(LLAMA_OPTIONS) + ', or what the name says')
    print('name\tours\tpeer\tratio\tgoal\tunit\truns', flush=True)
    many_clients()
    one_client()
    same_prefix()
    guesses()
    overload()
    sys.exit(1 if failed else 0)


with tempfile.TemporaryDirectory() as WORK:
    main()
