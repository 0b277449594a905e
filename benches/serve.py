#!/usr/bin/env python3
"""Loads the server as many clients would: throughput, latency, memory, and what HTTP adds to a search.

    python3 benches/serve.py --binary target/release/sightword --index DIR/.sightword [--seconds 30]

Needs wrk (Debian: apt-get install wrk). The index should have some 8,000 photos; it is not changed. wrk runs
on the same machine and takes its share of the cores. Prints one JSON object; exit code 1 if a request was
lost, or HTTP adds more than 1 ms at the median.
"""

import argparse
import http.client
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

QUERIES = ["a dog running on the beach", "two children playing", "red car", "a man climbing a rock", "snow",
           "a black dog and a white dog", "people at a market", "a boy on a bicycle"]
LUA = """
local paths = {%s}
local at = 0
request = function()
  at = at %% #paths + 1
  return wrk.format("GET", paths[at])
end
"""
OVERHEAD_MS = 1.0


def paths(mode):
    return [f"/v1/search?{urllib.parse.urlencode({'q': query, 'k': 20, 'mode': mode})}" for query in QUERIES]


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}[unit]


def load(address, mode, connections, seconds):
    """One run of wrk: requests a second, latencies, and requests that were lost."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(LUA % ", ".join(json.dumps(path) for path in paths(mode)))
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s",
                   script.name, f"http://{address}"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    find = lambda pattern: (re.search(pattern, said) or [None, "0"])[1]
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    lost = sum(map(int, errors.groups())) if errors else 0
    return {"connections": connections, "requests a second": float(find(r"Requests/sec:\s+([\d.]+)")),
            "p50 ms": milliseconds(find(r"50%\s+(\S+)")), "p99 ms": milliseconds(find(r"99%\s+(\S+)")),
            "lost": lost + int(find(r"Non-2xx or 3xx responses: (\d+)"))}


def overhead(address, mode, repeats=400):
    """Round trip of one client less what the library says that its part took, at the median."""
    connection = http.client.HTTPConnection(address)
    added = []
    for number in range(repeats):
        start = time.perf_counter()
        connection.request("GET", paths(mode)[number % len(QUERIES)])
        body = connection.getresponse().read()
        trip = 1e3 * (time.perf_counter() - start)
        added.append(trip - json.loads(body)["took_ms"])
    return statistics.median(added[20:])


def peak_megabytes(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read())[1]) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--index", required=True)
    parser.add_argument("--seconds", type=int, default=30)
    args = parser.parse_args()
    command = [args.binary, "serve", "--index", args.index, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        address = server.stdout.readline().strip().removeprefix("listening on http://")
        added = {mode: overhead(address, mode) for mode in ("table", "tower")}
        runs = {mode: load(address, mode, 16, args.seconds) for mode in ("table", "tower")}
        crowd = load(address, "table", 1000, max(60, args.seconds))
        result = {"added by HTTP, ms": added, "table": runs["table"], "tower": runs["tower"], "1,000 connections": crowd,
                  "peak MB": peak_megabytes(server.pid)}
        server.terminate()
    print(json.dumps(json.loads(json.dumps(result), parse_float=lambda text: round(float(text), 3)), indent=1))
    lost = sum(run["lost"] for run in (*runs.values(), crowd))
    if lost or max(added.values()) > OVERHEAD_MS:
        sys.exit("a request was lost, or HTTP adds too much")


if __name__ == "__main__":
    main()
