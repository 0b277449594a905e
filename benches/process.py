#!/usr/bin/env python3
"""Times whole processes, as a user meets them: first index, index again, search in both query modes.

    python3 benches/process.py --binary target/release/sightword --photos DIR [--repeats 40]

DIR is a folder of photos that is not changed: the index goes into a temporary folder. The page cache
is warm after the first run. Prints one JSON object: milliseconds (minimum, median, slowest), peak
memory in MB, and for each promise of the README the measured value over the bound. Exit code 1 if a
bound is broken.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

# milliseconds or megabytes: what must not be exceeded with 8,000 photos
BOUNDS = {"search tower ms": 60, "search table ms": 15, "search MB": 150, "index MB": 1000, "again ms": 1000}
QUERIES = ["a dog running on the beach", "two children playing", "red car", "a man climbing a rock"]


def run(command):
    """Seconds and peak megabytes of one process; its exit code must be 0 or 1."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        sys.exit(f"{command} failed: {said}")
    return seconds, usage.ru_maxrss / 1024, said.strip()


def many(command, repeats):
    runs = [run([*command, QUERIES[n % len(QUERIES)]]) for n in range(repeats)]
    times = [1e3 * seconds for seconds, _, _ in runs[1:]]
    return {"ms": {"min": min(times), "median": statistics.median(times), "max": max(times)},
            "MB": max(memory for _, memory, _ in runs)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--photos", required=True)
    parser.add_argument("--repeats", type=int, default=40)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        index = ["--index", os.path.join(folder, "index")]
        first, index_memory, said = run([args.binary, "index", args.photos, *index])
        again, _, _ = run([args.binary, "index", args.photos, *index])
        size = sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)
        modes = {mode: many([args.binary, "search", *index, "--query-mode", mode], args.repeats)
                 for mode in ("tower", "table")}
    measured = {"search tower ms": modes["tower"]["ms"]["median"], "search table ms": modes["table"]["ms"]["median"],
                "search MB": max(mode["MB"] for mode in modes.values()), "index MB": index_memory,
                "again ms": 1e3 * again}
    result = {"first index s": first, "said": said, "index bytes": size, "search": modes,
              "measured": measured, "over bound": {name: measured[name] / bound for name, bound in BOUNDS.items()}}
    print(json.dumps(json.loads(json.dumps(result), parse_float=lambda text: round(float(text), 3)), indent=1))
    if any(ratio > 1 for ratio in result["over bound"].values()):
        sys.exit("a bound is broken")


if __name__ == "__main__":
    main()
