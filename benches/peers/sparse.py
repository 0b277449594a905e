#!/usr/bin/env python3
"""How fast are others on the same sparse vectors, called from the same language?

    cargo bench --bench collections -- DATA VECTORS      # writes a.npz, b.npz, c.npz and the queries
    benches/peers/sparse.py VECTORS --collections a,c    # makes a virtual environment, runs all engines

Every engine runs in a process of its own that keeps its index open. Rounds of queries go from engine to
engine, so that whatever else the machine does hits all of them; of a query's times the least counts.
Printed are mean, p50 and p99 over the queries, less the time of an empty query (which is shown), recall@10
against exact scores of the same whole numbers, bytes on disk, build seconds and peak memory.
"""
import argparse
import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGES = ["numpy==2.4.6", "scipy==1.17.1", "pyvsag==0.18.5", "qdrant-edge-py==0.9.0",
            "pyseismic-lsr==0.5.4", "bmp==0.2.8", "pyterrier_pisa==0.4.9"]
EXACT = ["ours", "sindi", "qdrant", "pisa"]
APPROXIMATE = ["seismic", "bmp"]
K = 10
WARM = 50  # queries before the clock runs: others had the caches in between


def environment(folder):
    """The interpreter of a virtual environment with all peers; one that cannot be had is left out."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        for package in PACKAGES:
            done = subprocess.run([python, "-m", "pip", "install", "-q", package])
            if done.returncode:
                print(f"{package} cannot be installed here", file=sys.stderr)
    return python


def library(target):
    command = ["cargo", "build", "--release", "--manifest-path", HERE / "ours" / "Cargo.toml"]
    subprocess.run(command, check=True, env={**os.environ, "CARGO_TARGET_DIR": str(target)})
    return next((target / "release").glob("libours.*[oy]"))


# --- in a worker ---------------------------------------------------------------------------------


class Matrix:
    """Rows of (column, value), as SciPy keeps them."""

    def __init__(self, path):
        import numpy as np

        file = np.load(path)
        self.starts = file["indptr"].astype(np.int64)
        self.tokens = file["indices"].astype(np.uint32)
        self.values = file["data"].astype(np.float32)
        self.rows, self.columns = (int(number) for number in file["shape"])
        self.path = path

    def row(self, number):
        part = slice(self.starts[number], self.starts[number + 1])
        return self.tokens[part], self.values[part]


def ours(matrix, folder, options):
    import numpy as np

    lib = ctypes.CDLL(options["library"])
    lib.open.restype = ctypes.c_void_p
    lib.top.restype = ctypes.c_size_t
    lib.top.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t,
                        ctypes.c_size_t, ctypes.c_void_p]
    if lib.build(str(matrix.path).encode(), str(folder).encode()):
        raise RuntimeError("the index cannot be built")
    index = lib.open(str(folder).encode())
    keys = np.zeros(K, np.uint64)

    def prepare(tokens, values):
        return tokens.astype(np.uint16), values.astype(np.uint8)

    def search(query):
        tokens, weights = query
        found = lib.top(index, tokens.ctypes.data, weights.ctypes.data, len(tokens), K, keys.ctypes.data)
        return keys[:found]

    return prepare, search


def sindi(matrix, folder, options):
    import numpy as np
    import pyvsag

    parameters = {"term_id_limit": matrix.columns, "window_size": 50000, "doc_prune_ratio": 0.0,
                  "use_quantization": False, "use_reorder": False}
    index = pyvsag.Index("sindi", json.dumps({"dtype": "sparse", "dim": 512, "metric_type": "ip",
                                              "index_param": parameters}))
    index.build(matrix.starts.astype(np.uint32), matrix.tokens, matrix.values,
                np.arange(matrix.rows, dtype=np.int64))
    index.save(str(folder / "sindi"))
    how = json.dumps({"sindi": {"n_candidate": K, "query_prune_ratio": 0.0}})

    def prepare(tokens, values):
        return np.array([0, len(tokens)], np.uint32), tokens, values

    def search(query):
        return np.asarray(index.knn_search(*query, K, how)[0]).ravel()

    return prepare, search


def seismic(matrix, folder, options):
    import numpy as np
    import seismic as peer

    data = peer.SeismicDataset(dim=matrix.columns)
    data.add_documents_by_id([str(row) for row in range(matrix.rows)], matrix.tokens.astype(np.int64),
                             matrix.values, matrix.starts)
    index = peer.SeismicIndex.build_from_dataset(data, n_postings=3500)
    index.save(str(folder / "seismic"))
    text = peer.get_seismic_string()

    def prepare(tokens, values):
        return tokens.astype(str).astype(text), values

    def search(query):
        hits = index.search("q", *query, K, query_cut=options["query_cut"], heap_factor=options["heap_factor"])
        return [int(hit[2]) for hit in hits]

    return prepare, search


def qdrant(matrix, folder, options):
    import qdrant_edge as peer

    config = peer.EdgeConfig(vectors={}, sparse_vectors={"s": peer.EdgeSparseVectorParams()},
                             max_search_threads=1)
    shard = peer.EdgeShard.create(str(folder), config)
    for start in range(0, matrix.rows, 5000):
        points = []
        for row in range(start, min(start + 5000, matrix.rows)):
            tokens, values = matrix.row(row)
            vector = peer.SparseVector(indices=tokens.tolist(), values=values.tolist())
            points.append(peer.Point(row, {"s": vector}, {}))
        shard.update(peer.UpdateOperation.upsert_points(points))
    while shard.optimize():
        pass
    shard.flush()

    def prepare(tokens, values):
        return peer.SparseVector(indices=tokens.tolist(), values=values.tolist())

    def search(query):
        request = peer.QueryRequest(limit=K, query=peer.Query.Nearest(query, using="s"))
        return [int(point.id) for point in shard.query(request)]

    return prepare, search


def bmp(matrix, folder, options):
    import bmp as peer

    names = [str(token) for token in range(matrix.columns)]
    index = peer.Indexer(str(folder / "index.bmp"), bsize=32, compress_range=True)
    for row in range(matrix.rows):
        tokens, values = matrix.row(row)
        index.add_document(str(row), {names[token]: int(value) for token, value in zip(tokens, values)})
    index.finish()
    searcher = peer.Searcher(str(folder / "index.bmp"))

    def prepare(tokens, values):
        # Scores are added in 16 bits: weights must be scaled down so that sums fit.
        scale = min(1.0, 256.0 / max(1.0, float(values.sum())))
        return {names[token]: max(1.0, round(value * scale)) for token, value in zip(tokens, values)}

    def search(query):
        return [int(name) for name in searcher.search(query, K, 1.0, 1.0)[0]]

    return prepare, search


def pisa(matrix, folder, options):
    import pandas
    from pyterrier_pisa import PisaIndex

    def documents():
        for row in range(matrix.rows):
            tokens, values = matrix.row(row)
            yield {"docno": str(row), "toks": {f"t{token}": float(value) for token, value in zip(tokens, values)}}

    index = PisaIndex(str(folder / "pisa"), stemmer="none", threads=1)
    index.toks_indexer(scale=1.0).index(documents())
    retrieve = index.quantized(num_results=K, threads=1, toks_scale=1.0, query_algorithm="maxscore")

    def prepare(tokens, values):
        toks = {f"t{token}": float(value) for token, value in zip(tokens, values)}
        return pandas.DataFrame([{"qid": "1", "query_toks": toks}])

    def search(query):
        return [int(name) for name in retrieve(query)["docno"]]

    return prepare, search


ENGINES = {"ours": ours, "sindi": sindi, "seismic": seismic, "qdrant": qdrant, "bmp": bmp, "pisa": pisa}


def answer(search, query):
    """Hits; None of an engine that refuses the query, as some do if it is empty or matches nothing."""
    try:
        return search(query)
    except BaseException as error:  # a panic is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        return None


def work(arguments):
    """Builds one engine, then answers requests, one a line: a set of queries to run once."""
    import numpy as np

    options = json.loads(arguments.work)
    matrix = Matrix(Path(options["collection"]))
    folder = Path(tempfile.mkdtemp(prefix="peer-", dir=options["scratch"]))
    try:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        prepare, search = ENGINES[options["engine"]](matrix, folder, options)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"build": seconds, "bytes": size, "peak": peak / 1024, "before": before / 1024}), flush=True)
        queries = {}
        for name, path in options["queries"].items():
            given = Matrix(Path(path))
            queries[name] = [prepare(*given.row(row)) for row in range(min(given.rows, options["count"]))]
        nothing = np.zeros(0, np.uint32), np.zeros(0, np.float32)
        queries["empty"] = [prepare(*nothing)] * options["count"]
        for line in sys.stdin:
            times, found, refused = [], [], 0
            for query in queries[line.strip()][:WARM]:
                answer(search, query)
            for query in queries[line.strip()]:
                start = time.perf_counter()
                hits = answer(search, query)
                times.append(time.perf_counter() - start)
                refused += hits is None
                found.append([int(hit) for hit in ([] if hits is None else hits)])
            print(json.dumps({"times": times, "found": found, "refused": refused}), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- in the parent -------------------------------------------------------------------------------

TRUTH = """
import json, sys
import numpy as np
from scipy import sparse
docs = sparse.load_npz(sys.argv[1]).astype(np.float64).tocsc()
queries = sparse.load_npz(sys.argv[2]).astype(np.float64)[:int(sys.argv[3])]
found = json.load(sys.stdin)
good = {name: 0 for name in found}
for row in range(queries.shape[0]):
    scores = docs @ queries[row].toarray().ravel()
    least = max(np.partition(scores, -10)[-10], 1)
    for name, hits in found.items():
        good[name] += sum(scores[hit] >= least for hit in set(hits[row][:10])) / max(1, min(10, (scores >= least).sum()))
print(json.dumps({name: value / queries.shape[0] for name, value in good.items()}))
"""


def start(python, name, options):
    command = [python, __file__, "--work", json.dumps({**options, "engine": name})]
    if shutil.which("taskset"):
        command = ["taskset", "-c", "0", *command]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in worker.stdout:
        if line.startswith('{"build"'):
            return worker, json.loads(line)
    print(f"{name}: no index (exit code {worker.wait()})", file=sys.stderr)
    return None, None


def ask(worker, name):
    worker.stdin.write(name + "\n")
    worker.stdin.flush()
    for line in worker.stdout:
        if line.startswith('{"times"'):
            return json.loads(line)
    raise RuntimeError("a worker ended")


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def measure(arguments, python, collection, options):
    workers = {}
    for name in arguments.engines.split(","):
        worker, facts = start(python, name, options)
        if worker:
            workers[name] = (worker, facts)
    rows, least, found, refused = [], {}, {}, {}
    for _ in range(arguments.rounds):
        for queries in [*options["queries"], "empty"]:
            for name, (worker, _) in workers.items():
                told = ask(worker, queries)
                known = least.get((name, queries), told["times"])
                least[name, queries] = [min(pair) for pair in zip(known, told["times"])]
                found.setdefault(queries, {})[name] = told["found"]
                refused[name, queries] = told["refused"]
    for queries, path in options["queries"].items():
        recall = subprocess.run([python, "-c", TRUTH, options["collection"], path, str(arguments.count)],
                                input=json.dumps(found[queries]), capture_output=True, text=True, check=True)
        for name, (_, facts) in workers.items():
            if refused[name, queries]:
                print(f"{name}: refused {refused[name, queries]} {queries}", file=sys.stderr)
            empty = quantile(least[name, "empty"], 0.5) * 1e6
            times = [seconds * 1e6 - empty for seconds in least[name, queries]]
            rows.append({"collection": collection, "queries": queries, "engine": name, "empty": empty,
                         "mean": sum(times) / len(times), "p50": quantile(times, 0.5),
                         "p99": quantile(times, 0.99), "recall": json.loads(recall.stdout)[name], **facts})
    for worker, _ in workers.values():
        worker.stdin.close()
        worker.wait()
    return rows


def table(rows):
    print("| collection | queries | engine | mean µs | p50 | p99 | empty µs | recall@10 | MB | build s | peak MB |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print("| {collection} | {queries} | {engine} | {mean:.1f} | {p50:.1f} | {p99:.1f} | {empty:.1f} | {recall:.4f} "
              "| {size:.1f} | {build:.1f} | {peak:.0f} |".format(size=row["bytes"] / 1e6, **row))
    for row in rows:
        rivals = [other for other in rows if other["engine"] in EXACT[1:]
                  and (other["collection"], other["queries"]) == (row["collection"], row["queries"])]
        if row["engine"] == "ours" and rivals:
            best = min(rivals, key=lambda other: other["mean"])
            print(f"{row['collection']}, {row['queries']}: mean {row['mean'] / best['mean']:.2f} × {best['engine']}, "
                  f"p99 {row['p99'] / best['p99']:.2f} ×")


def chart(rows, path):
    """Mean times as bars, one group for each collection and kind of query, on a logarithmic scale."""
    import math

    groups = list(dict.fromkeys((row["collection"], row["queries"]) for row in rows))
    scale = lambda time: 60 * math.log10(max(1.0, time))
    parts, y = [], 10
    for group in groups:
        parts.append(f'<text x="10" y="{y + 14}" font-weight="bold">{group[0]}, {group[1]}</text>')
        y += 20
        for row in sorted((row for row in rows if (row["collection"], row["queries"]) == group), key=lambda row: row["mean"]):
            colour = "#2a6f97" if row["engine"] == "ours" else "#adb5bd"
            width = scale(row["mean"])
            parts.append(f'<text x="10" y="{y + 12}">{row["engine"]}</text><rect x="90" y="{y}" width="{width:.1f}" height="15" fill="{colour}"/>'
                         f'<text x="{96 + width:.1f}" y="{y + 12}">{row["mean"]:.0f} µs, recall {row["recall"]:.3f}</text>')
            y += 18
        y += 8
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="620" height="{y}" font-family="sans-serif" font-size="12">'
                    f'<rect width="620" height="{y}" fill="white"/>{"".join(parts)}</svg>\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", type=Path, nargs="?", help="the folder that the bench `collections` wrote")
    parser.add_argument("--collections", default="a", help="a, b, c or several with commas")
    parser.add_argument("--engines", default=",".join(EXACT + APPROXIMATE))
    parser.add_argument("--count", type=int, default=1000, help="queries of each kind")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--query-cut", type=int, default=10, help="Seismic's")
    parser.add_argument("--heap-factor", type=float, default=0.8, help="Seismic's")
    parser.add_argument("--venv", type=Path, default=Path("target/peers"))
    parser.add_argument("--library", type=Path, help="a build of `ours` [default: build it]")
    parser.add_argument("--chart", type=Path, help="write a chart here")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        return work(arguments)
    if not arguments.vectors:
        parser.error("which folder of vectors?")
    python = environment(arguments.venv)
    built = arguments.library or library(Path("target").resolve())
    rows = []
    for collection in arguments.collections.split(","):
        folder = arguments.vectors
        options = {"collection": str(folder / f"{collection}.npz"), "library": str(Path(built).resolve()),
                   "queries": {name: str(folder / f"{name}.npz") for name in ("captions", "keywords")},
                   "count": arguments.count, "scratch": str(folder), "query_cut": arguments.query_cut,
                   "heap_factor": arguments.heap_factor}
        rows += measure(arguments, python, collection, options)
    table(rows)
    if arguments.chart:
        chart(rows, arguments.chart)


if __name__ == "__main__":
    main()
