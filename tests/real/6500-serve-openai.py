#!/usr/bin/env python3
"""llm-serve asked by the client that people have: OpenAI's own, with SmolLM2."""
import asyncio
import concurrent.futures
import json
import os
import subprocess
import time

from real import ROOT, done, ok, skip, tmp

try:
    import openai
except ImportError:
    print("1..0 # SKIP no openai: scripts/get-peers")
    raise SystemExit(0)

MODEL = os.path.join(ROOT, "obj", "models", "smollm2.gguf")
if subprocess.run([os.path.join(ROOT, "scripts", "get-model")]).returncode != 0:
    print("1..0 # SKIP no SmolLM2")
    raise SystemExit(0)

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "The weather of a city", "parameters": {
            "type": "object", "properties": {
                "city": {"type": "string", "maxLength": 20},
                "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"]}}},
    {"type": "function", "function": {
        "name": "add", "description": "The sum of two numbers", "parameters": {
            "type": "object", "properties": {
                "a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"]}}},
]
ASK = [{"role": "user", "content": "What is the capital of France? Answer briefly."}]
WEATHER = [{"role": "user", "content": "What is the weather in Oslo, in celsius?"}]


class Server:
    """llm-serve on a free port, and a client of it."""

    def __init__(self, *options):
        port = tmp("port")
        if os.path.exists(port):
            os.remove(port)
        self.process = subprocess.Popen(
            ["llm-serve", "-q", "-m", "smol=" + MODEL, "--port", "0", "--port-file", port,
             "--context", "2048", "-j", "2", *options])
        for _ in range(600):
            if os.path.exists(port) and os.path.getsize(port) > 0:
                break
            time.sleep(0.1)
        self.url = "http://127.0.0.1:" + open(port).read().strip()
        self.client = self.of("none")

    def of(self, key):
        return openai.OpenAI(base_url=self.url + "/v1", api_key=key, max_retries=0, timeout=120)

    def end(self):
        self.process.terminate()
        return self.process.wait(60)


def refused(what, kind, call, param=None, code=None):
    try:
        call()
    except kind as e:
        ok((param is None or e.param == param) and (code is None or e.code == code) and
           isinstance(e.body, dict) and e.body.get("message"), what,
           f"param {e.param}, code {e.code}: {e}")
    except Exception as e:
        ok(False, what, repr(e))
    else:
        ok(False, what, "it was answered")


def chats(client):
    make = client.chat.completions.create
    r = make(model="smol", messages=ASK, max_tokens=24, temperature=0)
    text = r.choices[0].message.content
    ok("Paris" in text and r.choices[0].message.role == "assistant" and
       r.choices[0].finish_reason in ("stop", "length") and r.object == "chat.completion" and
       r.id.startswith("chatcmpl-") and abs(r.created - time.time()) < 600, "a chat", r)
    u = r.usage
    ok(u.total_tokens == u.prompt_tokens + u.completion_tokens and 0 < u.completion_tokens <= 24 and
       u.prompt_tokens_details.cached_tokens >= 0, "its usage", u)

    chunks = list(make(model="smol", messages=ASK, max_tokens=24, temperature=0, stream=True,
                       stream_options={"include_usage": True}))
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    ends = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    ok(said == text and len(chunks) > 3 and chunks[0].choices[0].delta.role == "assistant" and
       ends == [r.choices[0].finish_reason] and len({c.id for c in chunks}) == 1,
       "a stream says the same", said)
    ok(not chunks[-1].choices and chunks[-1].usage.prompt_tokens == u.prompt_tokens and
       chunks[-1].usage.completion_tokens == u.completion_tokens and
       all(c.usage is None for c in chunks[:-1]), "its usage comes last", chunks[-1])

    r = make(model="smol", messages=ASK, n=3, seed=7, temperature=1.5, max_tokens=12)
    again = make(model="smol", messages=ASK, n=3, seed=7, temperature=1.5, max_tokens=12)
    texts = [c.message.content for c in r.choices]
    ok([c.index for c in r.choices] == [0, 1, 2] and len(set(texts)) > 1 and
       texts == [c.message.content for c in again.choices], "three, the same for a seed", texts)

    long = [{"role": "system", "content": "You are brief. " * 60}, *ASK]
    for _ in range(2):
        r = make(model="smol", messages=long, max_tokens=1)
    cached = r.usage.prompt_tokens_details.cached_tokens
    ok(cached > r.usage.prompt_tokens // 2, f"{cached} tokens of "
       f"{r.usage.prompt_tokens} are found again", r.usage)

    r = make(model="smol", messages=ASK, max_tokens=4, temperature=0, logprobs=True, top_logprobs=3)
    tokens = r.choices[0].logprobs.content
    ok(len(tokens) == 4 and all(len(t.top_logprobs) == 3 and t.logprob <= 0 and
       t.top_logprobs[0].token == t.token and bytes(t.bytes).decode() for t in tokens) and
       "".join(t.token for t in tokens) == r.choices[0].message.content, "log-probabilities", tokens)

    r = make(model="smol", messages=ASK, max_tokens=60, temperature=0, stop=["Paris"])
    ok("Paris" not in r.choices[0].message.content and r.choices[0].finish_reason == "stop",
       "a stop text", r.choices[0])
    parts = [{"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
             {"role": "user", "content": [{"type": "text", "text": "Hi"},
                                          {"type": "text", "text": "there"}]}]
    ok(make(model="smol", messages=parts, max_tokens=4).choices[0].message.content,
       "parts, and a developer")


def structured(client):
    schema = {"type": "object", "properties": {
        "city": {"type": "string", "maxLength": 20}, "population": {"type": "integer"}},
        "required": ["city", "population"], "additionalProperties": False}
    r = client.chat.completions.create(
        model="smol", messages=ASK, max_tokens=100, temperature=0,
        response_format={"type": "json_schema", "json_schema": {
            "name": "city", "strict": True, "schema": schema}})
    v = json.loads(r.choices[0].message.content)
    ok(set(v) == {"city", "population"} and isinstance(v["population"], int),
       "JSON of a schema", v)
    try:
        import pydantic

        class City(pydantic.BaseModel):
            city: str
            large: bool

        r = client.chat.completions.parse(model="smol", messages=ASK, max_tokens=200,
                                          temperature=0, response_format=City)
        ok(isinstance(r.choices[0].message.parsed, City), "parsed by the client", r)
        with client.chat.completions.stream(model="smol", messages=ASK, max_tokens=200,
                                            temperature=0, response_format=City) as s:
            kinds = {e.type for e in s}
            final = s.get_final_completion()
        ok("content.done" in kinds and
           final.choices[0].message.parsed == r.choices[0].message.parsed, "streamed", final)
        r = client.chat.completions.parse(
            model="smol", messages=ASK, max_tokens=200, n=4, temperature=1, seed=1,
            response_format=City, tools=[openai.pydantic_function_tool(City)])
        ok(all(isinstance(c.message.parsed, City) or
               isinstance(c.message.tool_calls[0].function.parsed_arguments, City)
               for c in r.choices), "the format, or a call", r)
    except ImportError:
        skip("parsed by the client", "no pydantic")


def good_call(c, name=None):
    a = json.loads(c.function.arguments)
    if name is not None and c.function.name != name:
        return False
    return a["unit"] in ("celsius", "fahrenheit") and isinstance(a["city"], str) \
        if c.function.name == "get_weather" else \
        isinstance(a["a"], int) and isinstance(a["b"], int)


def tools(client):
    make = client.chat.completions.create
    r = make(model="smol", messages=WEATHER, tools=TOOLS, tool_choice="required",
             parallel_tool_calls=False, temperature=0, max_tokens=200)
    m = r.choices[0].message
    ok(r.choices[0].finish_reason == "tool_calls" and m.content is None and
       len(m.tool_calls) == 1 and m.tool_calls[0].type == "function" and
       good_call(m.tool_calls[0]), "a call that has to be", r)
    named = {"type": "function", "function": {"name": "add"}}
    r = make(model="smol", messages=WEATHER, tools=TOOLS, tool_choice=named, temperature=0,
             max_tokens=200)
    call = r.choices[0].message.tool_calls[0]
    ok(good_call(call, "add"), "of a tool that was chosen", r)

    pieces, first, reason = "", None, None
    for c in make(model="smol", messages=WEATHER, tools=TOOLS, tool_choice=named, temperature=0,
                  max_tokens=200, stream=True):
        for t in c.choices[0].delta.tool_calls or []:
            if t.id is not None:
                first = (first, t) if first else t
            pieces += t.function.arguments or ""
        reason = c.choices[0].finish_reason or reason
    ok(pieces == call.function.arguments and first.function.name == "add" and first.index == 0 and
       first.type == "function" and reason == "tool_calls", "streamed", pieces)
    with client.chat.completions.stream(model="smol", messages=WEATHER, tools=TOOLS,
                                        tool_choice=named, temperature=0, max_tokens=200) as s:
        final = s.get_final_completion()
    ok(final.choices[0].message.tool_calls[0].function.arguments == call.function.arguments,
       "put together by the client", final)

    history = [*WEATHER, m.model_dump(exclude_none=True), {
        "role": "tool", "tool_call_id": m.tool_calls[0].id, "content": "-3 degrees, snow"}]
    r = make(model="smol", messages=history, tools=TOOLS, max_tokens=40, temperature=0)
    ok(r.choices[0].message.content or r.choices[0].message.tool_calls, "the result goes back", r)
    r = make(model="smol", messages=ASK, tools=TOOLS, tool_choice="none", max_tokens=20)
    ok(r.choices[0].message.tool_calls is None and r.choices[0].message.content, "no call", r)


def called(name, arguments, result):
    """A call that was made, and what came of it."""
    return [{"role": "assistant", "content": None, "tool_calls": [
        {"id": "call_" + name, "type": "function",
         "function": {"name": name, "arguments": json.dumps(arguments)}}]},
        {"role": "tool", "tool_call_id": "call_" + name, "content": result}]


# Small as it is, the model calls by itself when it has seen that done.
SEEN = [{"role": "user", "content": "What is the weather in Paris, in celsius?"},
        *called("get_weather", {"city": "Paris", "unit": "celsius"}, "12 degrees, rain"),
        {"role": "assistant", "content": "It is 12 degrees in Paris, and it rains."},
        {"role": "user", "content": "What is 3 plus 4?"},
        *called("add", {"a": 3, "b": 4}, "7"),
        {"role": "assistant", "content": "3 plus 4 is 7."}]


def free_tools(client):
    def ask(text, **more):
        return client.chat.completions.create(
            model="smol", messages=[*SEEN, {"role": "user", "content": text}], tools=TOOLS,
            tool_choice="auto", temperature=0, max_tokens=120, **more)

    def is_call(choice, city):
        for c in choice.message.tool_calls or []:
            a = json.loads(c.function.arguments)
            return choice.finish_reason == "tool_calls" and c.function.name == "get_weather" and \
                a.get("city") == city and a.get("unit") == "celsius"
        return False

    cities = "Oslo", "Rome", "Madrid", "Lima", "Cairo", "Tokyo", "Berlin"
    got = {c: ask(f"What is the weather in {c}, in celsius?").choices[0] for c in cities}
    right = [c for c in cities if is_call(got[c], c)]
    ok(len(right) >= 4, f"{len(right)} of {len(cities)} times it calls by itself, as it should", got)
    city = (right or cities)[0]
    name, arguments, content = None, "", ""
    for c in ask(f"What is the weather in {city}, in celsius?", stream=True):
        for t in c.choices[0].delta.tool_calls or []:
            name = name or t.function.name
            arguments += t.function.arguments or ""
        content += c.choices[0].delta.content or ""
    call = got[city].message.tool_calls[0].function
    ok((name, arguments, content or None) == (call.name, call.arguments, got[city].message.content),
       "streamed, too", (name, arguments, content))
    r = ask("Hello, who are you?").choices[0]
    ok(r.finish_reason == "stop" and r.message.content and not r.message.tool_calls,
       "where nothing is to be called, it answers", r)


def others(client):
    ok([m.id for m in client.models.list()] == ["smol", "vectors"], "models")
    r = client.completions.create(model="smol", prompt="The capital of France is", max_tokens=4,
                                  temperature=0, logprobs=2)
    c = r.choices[0]
    ok("Paris" in c.text and len(c.logprobs.tokens) == 4 and len(c.logprobs.top_logprobs[0]) == 2 and
       c.logprobs.text_offset[0] == 0, "a completion", r)
    r = client.embeddings.create(model="vectors", input=["a cat", "a dog", "a car"])
    ok(len(r.data) == 3 and len(r.data[0].embedding) == 576 and
       [d.index for d in r.data] == [0, 1, 2], "embeddings", r.usage)


def at_once(server):
    async def run():
        client = openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0,
                                    timeout=120)
        make = client.chat.completions.create
        whole = await asyncio.gather(*[make(model="smol", messages=ASK, max_completion_tokens=8,
                                            seed=i, store=True, metadata={"a": "b"}, user="u",
                                            temperature=1) for i in range(4)])
        alone = await make(model="smol", messages=ASK, max_completion_tokens=8, seed=2,
                           temperature=1)
        pieces = [c async for c in await make(model="smol", messages=ASK, max_tokens=8, seed=2,
                                              temperature=1, stream=True)]
        return ([r.choices[0].message.content for r in whole], alone.choices[0].message.content,
                "".join(c.choices[0].delta.content or "" for c in pieces),
                [m.id async for m in client.models.list()], alone._request_id == alone.id)

    whole, alone, said, models, known = asyncio.run(run())
    ok(whole[2] == alone == said and models == ["smol", "vectors"], "asked at once", whole)
    ok(known, "an answer has its request's id")


def errors(client):
    make = client.chat.completions.create
    refused("a model that is not there", openai.NotFoundError,
            lambda: make(model="none", messages=ASK), code="model_not_found")
    for param, value in (("temperature", -1), ("n", 100000), ("tool_choice", "any"),
                         ("tools", [{"type": "function"}]), ("messages", [{"role": "user"}]),
                         ("messages", [{"role": "user", "content": [{"type": "image_url"}]}]),
                         ("response_format", {"type": "xml"}), ("stop", 5),
                         ("functions", [{"name": "f"}]), ("modalities", ["text", "audio"]),
                         ("web_search_options", {})):
        more = {"messages": ASK, "tools": TOOLS, param: value}
        refused(f"{param} of {json.dumps(value)[:40]}", openai.BadRequestError,
                lambda: make(model="smol", **more), param=param)
    refused("another interface", openai.NotFoundError,
            lambda: client.responses.create(model="smol", input="hi"))
    refused("a prompt beyond the context", openai.BadRequestError,
            lambda: make(model="smol", messages=[{"role": "user", "content": "the " * 4000}]),
            code="context_length_exceeded")


def cancelled(server):
    begun = time.time()
    stream = server.client.chat.completions.create(
        model="smol", messages=ASK, max_tokens=1500, stream=True, temperature=1,
        extra_body={"ignore_eos": True})
    for _, _ in zip(range(5), stream):
        pass
    stream.close()
    r = server.client.chat.completions.create(model="smol", messages=ASK, max_tokens=1)
    ok(r.choices and time.time() - begun < 30, f"a stream that is left ends "
       f"({time.time() - begun:.1f} s)")


def keys():
    if b"--new-key" not in subprocess.run(["llm-serve", "-h"], capture_output=True).stdout:
        skip("keys", "this server has none")
        return
    path = tmp("keys")
    make = ["llm-serve", "--api-key-file", path, "--new-key"]
    key = subprocess.run([*make, "alice"], capture_output=True, check=True).stdout.decode().strip()
    few = subprocess.run([*make, "bob requests=1/h"], capture_output=True).stdout.decode().strip()
    server = Server("--api-key-file", path)

    def ask(k):
        return server.of(k).chat.completions.create(model="smol", messages=ASK, max_tokens=2)

    ok(ask(key).choices, "a key")
    refused("another key", openai.AuthenticationError, lambda: ask("sk-none"))
    if few:
        ask(few)
        refused("more than a key may ask", openai.RateLimitError, lambda: ask(few))
    ok(server.end() == 0, "it ends with 0")


def crowded():
    server = Server("--parallel", "1", "--waiting", "1")

    def ask(_):
        try:
            server.client.chat.completions.create(model="smol", messages=ASK, max_tokens=40,
                                                  extra_body={"ignore_eos": True})
            return "answered"
        except openai.RateLimitError as e:
            return "429" if e.response.headers.get("Retry-After") else "429 alone"

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        got = list(pool.map(ask, range(8)))
    ok("answered" in got and set(got) == {"answered", "429"}, "too many are refused, with 429",
       got)
    ok(server.end() == 0, "it ends with 0")


def among_others():
    """Nine digits, as JSON has them, are all bits of a log-probability."""
    server = Server("--parallel", "32")

    def one(i):
        ask = ASK if i == 0 else [{"role": "user", "content": "Tell me of " + f"{i} " * i}]
        r = server.client.chat.completions.create(
            model="smol", messages=ask, max_tokens=48, temperature=i % 2, seed=i, logprobs=True,
            top_logprobs=5).choices[0]
        return r.message.content, [[(x.token, x.logprob) for x in (t, *t.top_logprobs)]
                                   for t in r.logprobs.content]

    alone = [one(i) for i in range(2)]
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        together = list(pool.map(one, range(32)))
    ok(together[:2] == alone, "a request has the same text and log-probabilities to the bit "
       "alone and among 31 others", together[:2])
    ok(server.end() == 0, "it ends with 0")


server = Server("--embed", "vectors=" + MODEL)
chats(server.client)
structured(server.client)
tools(server.client)
free_tools(server.client)
others(server.client)
at_once(server)
errors(server.client)
cancelled(server)
ok(server.end() == 0, "it ends with 0")
keys()
crowded()
among_others()
done()
