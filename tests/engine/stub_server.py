"""A chat-completions server that lies, stumbles and counts: for the tests of endpoints. Loopback only.

Plain asyncio and no framework, so that it is not what is measured. Run as a program it prints its port.
Questions of the form "a + b" are answered; a planner, a judge and a probe get what they ask for.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import random
import re
import sys
from collections import Counter

SUM = re.compile(r"(\d+) \+ (\d+)")


class Stub:
    def __init__(self, options):
        self.options, self.generator = options, random.Random(options.seed)
        self.delivered, self.outcomes, self.now, self.most = Counter(), Counter(), 0, 0
        self.bodies = []

    def fault(self):
        """One of the faults, or none, with the rates of the options."""
        drawn, total = self.generator.random(), 0.0
        for name in ("error", "limit", "hang", "broken", "cut"):
            total += getattr(self.options, name)
            if drawn < total:
                return name
        return "none"

    async def serve(self, reader, writer):
        gone = (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
        with contextlib.suppress(*gone), contextlib.closing(writer):
            while await self.one(reader, writer):
                await asyncio.sleep(0)

    async def one(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
        body = await reader.readexactly(int(length[1])) if length else b""
        path = head.split()[1]
        if path == "/stats":
            return self.send(
                writer,
                200,
                {
                    "delivered": self.delivered,
                    "outcomes": self.outcomes,
                    "most": self.most,
                    "bodies": self.bodies[-50:],
                },
            )
        if self.options.key and f"Bearer {self.options.key}" not in head:
            sent = re.search(r"authorization: bearer (\S+)", head, re.IGNORECASE)
            return self.send(writer, 401, {"error": f"bad key {sent[1] if sent else None}"})
        if path == "/v1/models":
            return self.send(writer, 500, {"error": "offline"})
        asked = json.loads(body)
        if self.options.bodies:
            self.bodies.append(asked)
        if asked["model"] != "stub":
            return self.send(writer, 404, {"error": f"The model {asked['model']} does not exist"})
        for name in self.options.refuse:
            if name in asked:
                return self.send(writer, 400, {"error": f"unsupported parameter: {name}"})
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await self.answer(writer, asked, hashlib.sha256(body).hexdigest()[:16])
        finally:
            self.now -= 1

    async def answer(self, writer, asked, name):
        fault = self.fault()
        self.outcomes[fault] += 1
        if self.options.slow:
            await asyncio.sleep(self.generator.random() * self.options.slow)
        if fault == "error":
            return self.send(writer, 500, {"error": "internal"})
        if fault == "limit":
            return self.send(writer, 429, {"error": "slow down"}, f"retry-after: {self.options.after}\r\n")
        if fault == "hang":
            # The client has given up long before: no longer one of those that are served at once.
            self.now -= 1
            await asyncio.sleep(self.options.hang_seconds)
            self.now += 1
            return False
        if fault == "broken":
            return self.send(writer, 200, b'{"choices": [{"mess')
        whole = reply(asked, self.options)
        if fault == "cut":
            text = json.dumps(whole).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(text) + text[: len(text) // 2]
            )
            await writer.drain()
            return False
        if asked.get("stream"):
            return await self.stream(writer, whole, name)
        kept = self.send(writer, 200, whole)
        await writer.drain()
        self.delivered[name] += 1
        return kept

    async def stream(self, writer, whole, name):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        text = whole["choices"][0]["message"]["content"]
        events = [{"choices": [{"delta": {"content": text[at : at + 7]}}]} for at in range(0, len(text), 7)]
        events.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        events.append({"choices": [], "usage": whole.get("usage")})
        for event in events:
            writer.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()
        self.delivered[name] += 1
        return False

    def send(self, writer, status, value, headers=""):
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n"
        writer.write(f"{head}{headers}\r\n".encode() + content)
        return True


def reply(asked, options):
    """A whole body: what a model would say, what the server does with the parameters."""
    text = said(asked, options)
    stop = asked.get("stop") or []
    if options.stop != "ignored":
        for string in stop:
            at = text.find(string)
            if at >= 0:
                text = text[: at + (len(string) if options.stop == "left in" else 0)]
    message = {"role": "assistant", "content": text}
    if options.thinking == "apart" and "</think>" in text:
        thinking, text = text.split("</think>", 1)
        message = {
            "role": "assistant",
            "content": text,
            "reasoning_content": thinking.removeprefix("<think>"),
        }
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    count = asked.get("n", 1) if options.n == "honoured" else 1
    body = {"id": "x", "choices": [choice] * count, "model": "stub"}
    if not options.uncounted:
        body["usage"] = {"prompt_tokens": 20, "completion_tokens": max(1, len(text) // 4)}
    return body


def said(asked, options):
    prompt = asked["messages"][-1]["content"]
    drawn = random.Random(f"{asked.get('seed') if options.seeds == 'honoured' else random.random()}/{prompt}")
    if not asked.get("temperature") or options.temperature == "ignored":
        drawn = random.Random(prompt)
    if "needs_plan" in prompt:
        return options.planner or json.dumps({"needs_plan": True, "topics": ["addition"]})
    if "short plan" in prompt:
        return "Add the units first, then the tens."
    if '"better"' in prompt:
        return options.judge or better(prompt)
    if '"score"' in prompt:
        return json.dumps({"score": 7})
    found = SUM.search(prompt)
    if found is None:
        return " ".join(drawn.choice(["tea", "moon", "brick", "salt", "owl", "rope"]) for _ in range(8))
    total = int(found[1]) + int(found[2])
    if drawn.random() < options.wrong:
        total += drawn.randint(1, 9)
    return f"<think>{found[0]} makes {total}</think>So <answer>{total}</answer> it is."


def better(prompt):
    """A judge that is right when exactly one response is, and else prefers the first."""
    found = SUM.search(prompt)
    right = f"<answer>{int(found[1]) + int(found[2])}"
    second = prompt.split('<response number="2">')[1]
    first = prompt.split('<response number="1">')[1].split('<response number="2">')[0]
    return json.dumps({"better": 2 if right in second and right not in first else 1})


async def main():
    parser = argparse.ArgumentParser()
    for name in ("error", "limit", "hang", "broken", "cut", "slow", "wrong"):
        parser.add_argument(f"--{name}", type=float, default=0.0)
    parser.add_argument("--hang-seconds", type=float, default=5.0)
    parser.add_argument("--after", default="0.05")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--key", default="")
    parser.add_argument("--judge", default="")
    parser.add_argument("--planner", default="")
    parser.add_argument("--refuse", nargs="*", default=[])
    parser.add_argument("--thinking", default="inside")
    parser.add_argument("--uncounted", action="store_true")
    parser.add_argument("--bodies", action="store_true")
    for name in ("n", "temperature", "seeds", "stop"):
        parser.add_argument(f"--{name}", default="honoured")
    stub = Stub(parser.parse_args())
    server = await asyncio.start_server(stub.serve, "127.0.0.1", 0, limit=1 << 22)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
