#!/usr/bin/env python3
"""Times onnxruntime on the same towers and the same pixels, to hold our own encoder against.

    python3 benches/peers/onnxruntime.py --model MODEL_DIR --photos examples/photos

The model folder has the layout `config.json`, `model.safetensors` (half precision, or 8 bits, which
are multiplied out) and, if the outputs are to be checked, `reference.safetensors`. Both ONNX graphs
are built here, straight from the weights, with `onnx.helper`. An export through PyTorch would give the same arithmetic with more
nodes for onnxruntime to fuse again, and would need a download of gigabytes; building the graph
needs four small packages, which go into a virtual environment of their own under target/.

The graphs are written to suit onnxruntime: its own `LayerNormalization` and `Gelu` operators,
linear layers as one `Gemm` with the bias inside, batch norms already folded into the weights, and
every graph optimisation switched on (which also moves convolutions to its blocked layout).

What is timed: pixels (uint8, of the model's side, resized beforehand) in, the maximum over the patches of
every output token's logit out. `--winner` adds the winning patch of each token, which our own
encoder always keeps, and `--bytes` the tower as onnxruntime quantises it, with how many of its 20
strongest words are those of floats. For texts: token ids in, the maximum over the positions out.

Prints one JSON object; progress goes to stderr. Exit code 1 if the outputs are off.
"""

import argparse
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["numpy>=1.26", "onnx>=1.17", "onnxruntime>=1.20", "pillow>=10", "safetensors>=0.4"]
MASKED = -1e4          # added to what must not be looked at; far below any logit
MAX_ERROR = 1e-3       # against the reference outputs, absolute
OPSET = 20             # the first one with Gelu


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def enter_environment():
    """Runs this script again in its own virtual environment, which is made on the first use."""
    home = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "peers" / "onnxruntime"
    if Path(sys.prefix).resolve() == home.resolve():
        return
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = home / "ready"
    if not ready.exists():
        say("making a virtual environment with", ", ".join(PACKAGES))
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True, stdout=sys.stderr)
        ready.touch()
    # -I keeps this folder out of the search path: the script is called like the package it times.
    sys.exit(subprocess.run([python, "-I", Path(__file__).resolve(), *sys.argv[1:]]).returncode)


class Graph:
    """Collects the nodes and constants of one ONNX graph."""

    def __init__(self, config, weights):
        self.config, self.weights = config, weights
        self.nodes, self.constants = [], {}

    def constant(self, name, array):
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def weight(self, name):
        return self.constant(name, self.weights[name].astype(np.float32))

    def ints(self, *values):
        return self.constant("shape_" + "_".join(map(str, values)), np.array(values, np.int64))

    def number(self, value):
        return self.constant(f"number_{value}", np.array(value, np.float32))

    def op(self, kind, inputs, output=None, **attributes):
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"n{len(self.nodes)}", **attributes))
        return output

    def linear(self, x, name):
        return self.op("Gemm", [x, self.weight(name + ".weight"), self.weight(name + ".bias")], transB=1)

    def norm(self, x, name):
        scale, bias = self.weight(name + ".weight"), self.weight(name + ".bias")
        return self.op("LayerNormalization", [x, scale, bias], axis=-1, epsilon=self.config["layer_norm_eps"])

    def heads(self, x, length, order):
        """[rows, hidden] -> [batch, head, ...] in the given order of (position, channel)."""
        count = self.config["heads"]
        shape = self.ints(-1, length, count, self.config["hidden"] // count)
        return self.op("Transpose", [self.op("Reshape", [x, shape])], perm=order)

    def layer(self, x, name, length, mask=None):
        """One BERT layer, post-norm, on [batch * length, hidden]; length is -1 where it varies."""
        query, key, value = (self.linear(x, f"{name}.{part}") for part in ("query", "key", "value"))
        if length < 0:
            shape = self.op("Concat", ["text_shape", self.ints(self.config["heads"]),
                                       self.ints(self.config["hidden"] // self.config["heads"])], axis=0)
            split = lambda t, order: self.op("Transpose", [self.op("Reshape", [t, shape])], perm=order)
        else:
            split = lambda t, order: self.heads(t, length, order)
        width = self.config["hidden"] // self.config["heads"]
        logits = self.op("MatMul", [split(query, [0, 2, 1, 3]), split(key, [0, 2, 3, 1])])
        logits = self.op("Mul", [logits, self.number(width**-0.5)])
        if mask:
            logits = self.op("Add", [logits, mask])
        seen = self.op("MatMul", [self.op("Softmax", [logits], axis=-1), split(value, [0, 2, 1, 3])])
        seen = self.op("Transpose", [seen], perm=[0, 2, 1, 3])
        seen = self.op("Reshape", [seen, self.ints(-1, self.config["hidden"])])
        x = self.norm(self.op("Add", [x, self.linear(seen, name + ".attention_output")]), name + ".attention_norm")
        wide = self.op("Gelu", [self.linear(x, name + ".intermediate")], approximate="none")
        return self.norm(self.op("Add", [x, self.linear(wide, name + ".output")]), name + ".output_norm")

    def logits(self, x, side):
        """The vocabulary head, for the output tokens only."""
        x = self.op("Gelu", [self.linear(x, side + ".transform.dense")], approximate="none")
        x = self.norm(x, side + ".transform.norm")
        tokens = self.weights["output_tokens"]
        table = self.constant("output_embeddings", self.weights["token_embeddings"][tokens].astype(np.float32))
        bias = self.constant("output_bias", self.weights[side + ".decoder_bias"][tokens].astype(np.float32))
        return self.op("Gemm", [x, table, bias], transB=1)

    def model(self, inputs, outputs):
        graph = helper.make_graph(self.nodes, "tower", inputs, outputs, list(self.constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
        onnx.checker.check_model(model)
        return model


def convolution(graph, x, name, side, stride=1, kernel=1, groups=1, relu=True):
    """A convolution with TensorFlow's SAME padding and ReLU6. Gives the output and its side."""
    padding = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    low, high = padding // 2, padding - padding // 2
    x = graph.op("Conv", [x, graph.weight(name + ".weight"), graph.weight(name + ".bias")],
                 kernel_shape=[kernel, kernel], strides=[stride, stride], pads=[low, low, high, high], group=groups)
    if relu:
        x = graph.op("Clip", [x, graph.number(0.0), graph.number(6.0)])
    return x, -(-side // stride)


def backbone(graph, x):
    """EfficientNet-Lite: [batch, 3, side, side] -> [batch, 1280, grid, grid]."""
    image = graph.config["image"]
    x, side = convolution(graph, x, "image.backbone.stem", image["size"], stride=2, kernel=3)
    for number, block in enumerate(image["backbone"]["blocks"]):
        name, start = f"image.backbone.blocks.{number}.", x
        if block["expand"] != 1:
            x, _ = convolution(graph, x, name + "expand", side)
        x, side = convolution(graph, x, name + "depthwise", side, block["stride"], block["kernel"],
                              groups=block["inputs"] * block["expand"])
        x, _ = convolution(graph, x, name + "project", side, relu=False)
        if block["residual"]:
            x = graph.op("Add", [x, start])
    return convolution(graph, x, "image.backbone.head", side)[0]


def image_tower(config, weights, winner):
    """uint8 [batch, size, size, 3] -> `pooled` float [batch, output tokens] (and `winner` int64)."""
    graph, image = Graph(config, weights), config["image"]
    patches, channels = image["grid"] ** 2, image["backbone"]["head"]
    x = graph.op("Cast", [graph.op("Transpose", ["pixels"], perm=[0, 3, 1, 2])], to=TensorProto.FLOAT)
    x = graph.op("Div", [graph.op("Sub", [x, graph.number(image["mean"])]), graph.number(image["std"])])
    x = graph.op("Reshape", [backbone(graph, x), graph.ints(0, channels, patches)])
    x = graph.op("Reshape", [graph.op("Transpose", [x], perm=[0, 2, 1]), graph.ints(-1, channels)])
    x = graph.op("Reshape", [graph.linear(x, "image.projection"), graph.ints(-1, patches, config["hidden"])])
    x = graph.norm(graph.op("Add", [x, graph.weight("image.positions")]), "image.embedding_norm")
    x = graph.op("Reshape", [x, graph.ints(-1, config["hidden"])])
    for number in range(image["layers"]):
        x = graph.layer(x, f"image.layers.{number}", patches)
    count = len(weights["output_tokens"])
    logits = graph.op("Reshape", [graph.logits(x, "image"), graph.ints(-1, patches, count)])
    graph.op("ReduceMax", [logits, graph.ints(1)], "pooled", keepdims=0)
    outputs = [helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["batch", count])]
    if winner:
        graph.op("ArgMax", [logits], "winner", axis=1, keepdims=0)
        outputs.append(helper.make_tensor_value_info("winner", TensorProto.INT64, ["batch", count]))
    shape = ["batch", image["size"], image["size"], 3]
    return graph.model([helper.make_tensor_value_info("pixels", TensorProto.UINT8, shape)], outputs)


def text_tower(config, weights):
    """int64 ids [batch, length], float mask of the same shape (1 = real) -> `pooled` [batch, output tokens]."""
    graph, hidden, text = Graph(config, weights), config["hidden"], config["text"]
    # What is masked gets MASKED added: on the attention logits along keys, on the outputs along positions.
    hole = graph.op("Mul", [graph.op("Sub", [graph.number(1.0), "mask"]), graph.number(MASKED)])
    keys = graph.op("Unsqueeze", [hole, graph.ints(1, 2)])
    graph.op("Shape", ["ids"], "text_shape")
    x = graph.op("Gather", [graph.weight("token_embeddings"), "ids"])
    # token type 0 is the only one: added to the positions here, once
    places = weights["text.positions"].astype(np.float32) + weights["text.token_type"].astype(np.float32)
    length = graph.op("Slice", ["text_shape", graph.ints(1), graph.ints(2)])
    places = graph.op("Slice", [graph.constant("places", places), graph.ints(0), length])
    x = graph.norm(graph.op("Add", [x, places]), "text.embedding_norm")
    x = graph.op("Reshape", [x, graph.ints(-1, hidden)])
    for number in range(text["layers"]):
        x = graph.layer(x, f"text.layers.{number}", -1, keys)
    count = len(weights["output_tokens"])
    shape = graph.op("Concat", ["text_shape", graph.ints(count)], axis=0)
    logits = graph.op("Reshape", [graph.logits(x, "text"), shape])
    logits = graph.op("Add", [logits, graph.op("Unsqueeze", [hole, graph.ints(2)])])
    graph.op("ReduceMax", [logits, graph.ints(1)], "pooled", keepdims=0)
    return graph.model(
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"]),
         helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["batch", "length"])],
        [helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["batch", count])])


class Calibration:
    """Some pictures, one at a time, from which onnxruntime learns how large each tensor gets."""

    def __init__(self, pixels):
        self.left = list(pixels)

    def get_next(self):
        return {"pixels": self.left.pop()[None]} if self.left else None


def in_bytes(model, pixels):
    """The image tower as onnxruntime quantises it: 8 bits throughout, one range for each tensor of numbers."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    CalibrationDataReader.register(Calibration)
    with tempfile.TemporaryDirectory() as folder:
        exact, rounded = Path(folder) / "exact.onnx", Path(folder) / "rounded.onnx"
        exact.write_bytes(model)
        # Without a sign: x86 multiplies bytes without a sign by bytes with one.
        quantize_static(exact, rounded, Calibration(pixels[:12]), per_channel=True, activation_type=QuantType.QUInt8)
        return rounded.read_bytes()


def strongest_words(model, pixels, tokens):
    """The ids of each picture's 20 strongest words, by onnxruntime."""
    pooled = session(model, 1).run(["pooled"], {"pixels": pixels})[0]
    return tokens[np.argsort(-pooled)[:, :20]].tolist()


def our_strongest_words(pixels):
    """The same by our own program, which has the default model in it."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number, picture in enumerate(pixels):
            file = Path(folder) / f"{number}.png"
            Image.fromarray(picture).save(file)
            command = ["cargo", "run", "--quiet", "--release", "--", "tokens", "--json", str(file)]
            done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
            found.append([token["id"] for token in json.loads(done.stdout)["tokens"][:20]])
    return found


def that_stay(exact, rounded):
    """How many words of a picture are in both lists, on average."""
    return round(float(np.mean([len(set(a) & set(b)) for a, b in zip(exact, rounded)])), 1)


def session(model, threads):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def check(folder, image, text):
    """The largest absolute errors against the reference outputs, if the folder has them."""
    path = folder / "reference.safetensors"
    if not path.exists():
        say("no reference.safetensors in the model folder: outputs not checked")
        return None
    known = load_file(path)
    pooled = image.run(["pooled"], {"pixels": known["pixels"]})[0]
    ids, mask = known["text_ids"].astype(np.int64), known["text_mask"].astype(np.float32)
    errors = {"image": float(np.abs(pooled - known["image_pooled"]).max()),
              "text": float(np.abs(text.run(["pooled"], {"ids": ids, "mask": mask})[0] - known["text_pooled"]).max())}
    say("max abs error:", ", ".join(f"{side} {error:.2e}" for side, error in errors.items()))
    return errors


def listed(path, split):
    """The bytes of the pictures that a JSON Lines file names, from the tar shards beside it."""
    shards = {}
    for line in path.open(encoding="utf8"):
        entry = json.loads(line)
        if split and entry.get("split") != split:
            continue
        shard = entry["tar"]
        if shard not in shards:
            shards[shard] = tarfile.open(path.parent / shard)
        yield shards[shard].extractfile(entry["image"]).read()


def pictures(args, side):
    """Up to --pictures decoded photos, resized to the model's input, as one uint8 array."""
    if args.jsonl:
        sources = listed(args.jsonl, args.split)
    else:
        endings = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
        sources = (p.read_bytes() for p in sorted(args.photos.rglob("*")) if p.suffix.lower() in endings)
    found = []
    for source in sources:
        if len(found) == args.pictures:
            break
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(source))).convert("RGB")
        found.append(np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR)))
    if not found:
        sys.exit("no pictures found")
    return np.stack([found[i % len(found)] for i in range(args.pictures)]), len(found)


def passes(sessions, inputs, repeats):
    """Seconds of each pass over the inputs, which the sessions take in turns, one thread each."""
    def work(number):
        for given in inputs[number::len(sessions)]:
            sessions[number].run(None, given)

    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        workers = [threading.Thread(target=work, args=(n,)) for n in range(1, len(sessions))]
        for worker in workers:
            worker.start()
        work(0)
        for worker in workers:
            worker.join()
        seconds.append(time.perf_counter() - start)
    return seconds[1:]     # the first pass warms up


def report(seconds, count, unit, **facts):
    least, middle = min(seconds) / count, statistics.median(seconds) / count
    row = {**facts, f"ms_per_{unit}": {"min": round(least * 1e3, 3), "median": round(middle * 1e3, 3)},
           f"{unit}s_per_s": {"best": round(1 / least, 1), "median": round(1 / middle, 1)}}
    say(json.dumps(row))
    return row


def time_images(model, pixels, args):
    rows = []
    for workers in args.workers:
        if args.threads % workers:
            sys.exit(f"--workers {workers} does not divide --threads {args.threads}")
        sessions = [session(model, args.threads // workers) for _ in range(workers)]
        for batch in args.batch:
            inputs = [{"pixels": pixels[i:i + batch]} for i in range(0, len(pixels), batch)]
            seconds = passes(sessions, inputs, args.repeats)
            rows.append(report(seconds, len(pixels), "picture", batch=batch, sessions=workers,
                               threads_per_session=args.threads // workers))
    return rows


def in_floats(weights):
    """8-bit matrices times the scales of their rows; the rest as it is."""
    for name in [name for name in weights if name + ".scale" in weights]:
        scale = weights.pop(name + ".scale")
        weights[name] = weights[name] * scale.reshape(-1, *[1] * (weights[name].ndim - 1))
    return weights


def time_ours(args, side):
    """Our own encoder on the same pixels, threads and batches: `cargo bench --bench encode`."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pixels.safetensors"
        save_file({"pixels": pictures(args, side)[0]}, file)
        for batch in args.batch:
            command = ["cargo", "bench", "--quiet", "--bench", "encode", "--", str(file)]
            command += [str(n) for n in (args.threads, batch, args.repeats)]
            done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
            rows.append({"batch": batch, "ms_per_picture": json.loads(done.stdout.splitlines()[-1])})
            say(json.dumps({"sightword": rows[-1]}))
    return rows


def ratios(ours, peers):
    """Ours over the peer's best arrangement at the same batch, by the fastest and the median pass."""
    rows = []
    for row in ours:
        same = [peer["ms_per_picture"] for peer in peers if peer["batch"] == row["batch"]]
        rows.append({"batch": row["batch"]} | {
            key: round(row["ms_per_picture"][key] / min(peer[key] for peer in same), 2)
            for key in ("min", "median")})
    return rows


def time_texts(model, folder, args):
    """One text at a time, as a search has it; the texts of the reference, without their padding."""
    path = folder / "reference.safetensors"
    if not path.exists():
        return None
    known, inputs = load_file(path), []
    for ids, mask in zip(known["text_ids"], known["text_mask"]):
        real = int(mask.sum())
        inputs.append({"ids": ids[None, :real].astype(np.int64), "mask": np.ones((1, real), np.float32)})
    start = time.perf_counter()
    alone = session(model, args.threads)
    setup = time.perf_counter() - start
    tokens = sum(i["ids"].shape[1] for i in inputs) / len(inputs)
    return report(passes([alone], inputs, args.repeats), len(inputs), "text", threads=args.threads,
                  mean_tokens=round(tokens, 1), session_setup_ms=round(setup * 1e3, 1))


def arguments():
    numbers = lambda text: [int(part) for part in text.split(",")]
    parser = argparse.ArgumentParser(description="Times onnxruntime on the towers of a model folder.")
    parser.add_argument("--model", type=Path, required=True, help="folder with config.json and model.safetensors")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--photos", type=Path, help="folder of pictures")
    source.add_argument("--jsonl", type=Path, help="JSON Lines file that names pictures in the tar shards beside it")
    parser.add_argument("--split", help="with --jsonl: only pictures of this split")
    parser.add_argument("--pictures", type=int, default=64, help="pictures a pass (fewer are repeated)")
    parser.add_argument("--threads", type=int, default=2, help="threads in all")
    parser.add_argument("--workers", type=numbers, default=[1, 2], help="sessions that share the threads, e.g. 1,2")
    parser.add_argument("--batch", type=numbers, default=[1, 4, 8], help="pictures a call, e.g. 1,4,8")
    parser.add_argument("--repeats", type=int, default=7, help="timed passes; minimum and median are printed")
    parser.add_argument("--bytes", action="store_true", help="also time the image tower in 8 bits throughout")
    parser.add_argument("--winner", action="store_true", help="also compute the winning patch of each token")
    parser.add_argument("--ours", action="store_true", help="also run our encoder, and print the ratio")
    parser.add_argument("--keep", type=Path, help="leave image.onnx, text.onnx and pixels.safetensors in this folder")
    return parser.parse_args()


def main():
    args = arguments()
    config = json.loads((args.model / "config.json").read_text(encoding="utf8"))
    weights = in_floats(load_file(args.model / "model.safetensors"))
    image, text = image_tower(config, weights, args.winner), text_tower(config, weights)
    pixels, distinct = pictures(args, config["image"]["size"])
    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
        onnx.save(image, args.keep / "image.onnx")
        onnx.save(text, args.keep / "text.onnx")
        save_file({"pixels": pixels}, args.keep / "pixels.safetensors")
    image, text = image.SerializeToString(), text.SerializeToString()
    errors = check(args.model, session(image, args.threads), session(text, args.threads))
    good = errors is None or max(errors.values()) <= MAX_ERROR
    result = {"peer": "onnxruntime", "version": onnxruntime.__version__, "cpu": platform.processor() or platform.machine(),
              "model": config["name"], "threads": args.threads, "pictures": len(pixels), "distinct": distinct,
              "winner": args.winner, "max_abs_error": errors}
    if good:
        result |= {"images": time_images(image, pixels, args), "texts": time_texts(text, args.model, args)}
        if args.bytes:
            rounded = in_bytes(image, pixels)
            result["images_in_bytes"] = time_images(rounded, pixels, args)
            some, tokens = pixels[:distinct], weights["output_tokens"]
            exact = strongest_words(image, some, tokens)
            result["words_of_20_that_stay"] = that_stay(exact, strongest_words(rounded, some, tokens))
            if args.ours:
                result["words_of_20_that_stay_with_ours"] = that_stay(exact, our_strongest_words(some))
        if args.ours:
            result["sightword"] = time_ours(args, config["image"]["size"])
            result["sightword_over_onnxruntime"] = ratios(result["sightword"], result["images"])
    print(json.dumps(result, indent=1))
    if not good:
        sys.exit(f"outputs are off by more than {MAX_ERROR}")


if __name__ == "__main__":
    enter_environment()
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
    from PIL import Image, ImageOps
    from safetensors.numpy import load_file, save_file

    main()
