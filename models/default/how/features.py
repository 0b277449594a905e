"""Several views of every photo of SIZE pixels through the frozen blocks, kept on disk (cache/f256.npy, or 320)."""

from common import *
import onnxruntime as ort, sys, time, threading, queue, zlib

recs = load_recs()
blobs = load_blobs()
# views of a captioned and of a labelled photo; the first run used 5 passes
VC, VL = (7, 3) if SIZE == 256 else (3, 2)


def hold(r):
    return r["set"] == "labelled" and zlib.crc32(r["id"].encode()) % 5 == 0


for r in recs:
    r["hold"] = hold(r)
    if r["split"] in ("dev", "test") or r["hold"]:
        r["v"] = 1
    elif r["captions"]:
        r["v"] = VC
    else:
        r["v"] = VL
off = 0
for r in recs:
    r["o"] = off
    off += r["v"]
json.dump(recs, open(f"cache/recs{SIZE}.json", "w"))
fn = f"cache/f{SIZE}.npy"
F_ = np.lib.format.open_memmap(fn, mode="w+", dtype=np.uint16, shape=(off, G * G, 120))
print("photos", len(recs), "views", off, off * G * G * 240 / 1e9, "GB", flush=True)
o = ort.SessionOptions()
o.intra_op_num_threads = 2
torch.onnx.export(
    Front(folded()),
    (torch.zeros(8, 3, SIZE, SIZE),),
    "cache/front.onnx",
    input_names=["x"],
    output_names=["y"],
    dynamo=True,
)
s = ort.InferenceSession("cache/front.onnx", o, providers=["CPUExecutionProvider"])


def view(r, k, rng):
    im = Image.open(io.BytesIO(blobs[(r["set"], r["image"])])).convert("RGB")
    W, H = im.size
    if k < 2:
        x = im.resize((SIZE, SIZE), Image.BILINEAR)
    else:
        ar = W * H * rng.uniform(0.4, 1.0)
        q = math.exp(rng.uniform(math.log(0.7), math.log(1.43))) * W / H
        w = min(W, math.sqrt(ar * q))
        h = min(H, math.sqrt(ar / q))
        x0 = rng.uniform(0, W - w)
        y0 = rng.uniform(0, H - h)
        x = im.resize((SIZE, SIZE), Image.BILINEAR, box=(x0, y0, x0 + w, y0 + h))
    t = np.asarray(x, dtype=np.float32)
    if k % 2:
        t = t[:, ::-1]
    if k > 1:
        t = t * rng.uniform(0.7, 1.3)
        mu = t.mean()
        t = (t - mu) * rng.uniform(0.7, 1.35) + mu
        g = t.mean(2, keepdims=True)
        a = rng.uniform(0.5, 1.4) if rng.random() > 0.05 else 0.0
        t = np.clip(g + (t - g) * a, 0, 255)
    return ((t - 127) / 128).transpose(2, 0, 1)


rng = random.Random(7)
jobs = []
for k in range(VC):
    sel = [i for i, r in enumerate(recs) if r["v"] > k and r["split"] != "test"]
    sel.sort(key=lambda i: recs[i]["split"] != "dev")
    jobs += [(i, k) for i in sel]
jobs += [(i, 0) for i, r in enumerate(recs) if r["split"] == "test"]
q = queue.Queue(8)


def prod():
    for j in range(0, len(jobs), 8):
        b = jobs[j : j + 8]
        x = np.stack([view(recs[i], k, rng) for i, k in b])
        q.put((b, x))
    q.put(None)


threading.Thread(target=prod, daemon=True).start()
t0 = time.time()
n = 0
lastk = -1
while (it := q.get()) is not None:
    b, x = it
    if len(b) < 8:
        x = np.concatenate([x, np.zeros((8 - len(b),) + x.shape[1:], "f4")])
    y = s.run(None, {"x": np.ascontiguousarray(x, dtype=np.float32)})[0][: len(b)]
    y = (
        torch.from_numpy(y)
        .permute(0, 2, 3, 1)
        .reshape(len(b), G * G, 120)
        .to(torch.bfloat16)
        .contiguous()
        .view(torch.int16)
        .numpy()
        .view(np.uint16)
    )
    for (i, k), f in zip(b, y):
        F_[recs[i]["o"] + k] = f
    n += len(b)
    if b[-1][1] != lastk:
        lastk = b[-1][1]
        open("cache/passes", "w").write(str(lastk))
    if n % 2000 < 8:
        print(n, len(jobs), round(time.time() - t0), "pass", b[-1][1], flush=True)
open("cache/passes", "w").write("99")
print("done", time.time() - t0)
