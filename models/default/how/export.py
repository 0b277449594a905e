"""A checkpoint as a model folder in half precision, with reference outputs: CHECKPOINT FOLDER NAME SCALE."""

# a checkpoint -> a model folder in half precision, with reference outputs in 32-bit floats
import sys

ck, out, name = sys.argv[1:4]
scale = float(sys.argv[4]) if len(sys.argv) > 4 else 110.0
mirrored = len(sys.argv) > 5 and sys.argv[5] == "mirrored"
sys.argv = sys.argv[:1]
from common import *
from data import *
from safetensors.torch import save_file, load_file

os.makedirs(out, exist_ok=True)
torch.set_num_threads(2)
sd = torch.load(ck, map_location="cpu")["model"]
T = {k[2:].replace("/", "."): v.half().contiguous() for k, v in sd.items() if k.startswith("p.")}
W = folded()
for k, (w, b) in W.items():
    if k in ("head", "fc") or (k[0].isdigit() and int(k.split(".")[0]) >= SPLIT):
        continue
    n = "image.backbone." + ("stem" if k == "stem" else "blocks." + k)
    T[n + ".weight"] = w.half().contiguous()
    T[n + ".bias"] = b.half()
T["output_tokens"] = torch.tensor(allowed, dtype=torch.int32)
g = lambda n: T[n].float()


def backbone(x):
    x = F.relu6(same(x, g("image.backbone.stem.weight"), g("image.backbone.stem.bias"), 2))
    for i, b in enumerate(BLOCKS):
        p = f"image.backbone.blocks.{i}."
        y = x
        if b["expand"] != 1:
            y = F.relu6(same(y, g(p + "expand.weight"), g(p + "expand.bias"), 1))
        y = F.relu6(same(y, g(p + "depthwise.weight"), g(p + "depthwise.bias"), b["stride"], y.shape[1]))
        y = same(y, g(p + "project.weight"), g(p + "project.bias"), 1)
        x = y + x if b["residual"] else y
    return F.relu6(same(x, g("image.backbone.head.weight"), g("image.backbone.head.bias"), 1))


lin = lambda x, n: F.linear(x, g(n + ".weight"), g(n + ".bias"))
ln = lambda x, n: F.layer_norm(x, (384,), g(n + ".weight"), g(n + ".bias"), 1e-12)


def layer(x, p, mask=None):
    B, L, H = x.shape
    sp = lambda t: t.view(B, L, 12, 32).transpose(1, 2)
    w = sp(lin(x, p + "query")) @ sp(lin(x, p + "key")).transpose(2, 3) * 32**-0.5
    if mask is not None:
        w = w.masked_fill(~mask[:, None, None], -1e4)
    a = (w.softmax(-1) @ sp(lin(x, p + "value"))).transpose(1, 2).reshape(B, L, H)
    x = ln(x + lin(a, p + "attention_output"), p + "attention_norm")
    return ln(x + lin(F.gelu(lin(x, p + "intermediate")), p + "output"), p + "output_norm")


al = torch.tensor(allowed)


def pooled(h, t, mask=None):
    h = ln(F.gelu(lin(h, f"{t}.transform.dense")), f"{t}.transform.norm")
    z = h @ g("token_embeddings")[al].t() + g(f"{t}.decoder_bias")[al]
    if mask is not None:
        z = z.masked_fill(~mask[:, :, None], -1e9)
    return z.max(1)


@torch.no_grad()
def image_ref(px):
    f = backbone((px.permute(0, 3, 1, 2).float() - 127) / 128).flatten(2).transpose(1, 2)
    x = ln(lin(f, "image.projection") + g("image.positions"), "image.embedding_norm")
    for i in range(2):
        x = layer(x, f"image.layers.{i}.")
    v, w = pooled(x, "image")
    return f, x, v, w


@torch.no_grad()
def text_ref(ids, mask):
    x = ln(
        g("token_embeddings")[ids] + g("text.positions")[: ids.shape[1]] + g("text.token_type"),
        "text.embedding_norm",
    )
    for i in range(4):
        x = layer(x, f"text.layers.{i}.", mask)
    return x, pooled(x, "text", mask)[0]


if __name__ == "__main__":
    # the table: the mean weight that the text tower gives a token in texts that hold it
    rng = random.Random(1)
    texts = [c for i in train for c in recs[i]["texts"][:5]] + [c for five in json.load(open("cache/more.json")) for c in five]
    texts = (
        rng.sample(texts, 14000) + [w for w in (inv[t] for t in allowed)] + ["a " + inv[t] for t in allowed]
    )
    S = torch.zeros(len(inv) + 8)
    N = torch.zeros(len(inv) + 8)
    enc = sorted((ids(t) for t in texts), key=len)
    for j in range(0, len(enc), 200):
        x, k = pad(enc[j : j + 200])
        z = torch.log1p(torch.relu(text_ref(x, k)[1]))
        for r, s in enumerate(enc[j : j + 200]):
            for t in set(s):
                p = posof.get(t)
                if p is not None:
                    S[t] += z[r, p]
                    N[t] += 1
    T["query_table"] = (S / N.clamp(min=1))[:30522].half()
    save_file(T, out + "/model.safetensors")
    c = dict(CFG)
    c["name"] = name
    c["image"] = dict(
        CFG["image"],
        size=SIZE,
        grid=SIZE // 32,
        resize=f"whole picture to {SIZE}x{SIZE}, aspect not kept, antialiased triangle filter",
    )
    c["image"].update(saturation="log1p-log1p")
    c["impact_scale"] = scale
    c["length_norm"] = EVEN
    c["output_tokens"] = len(allowed)
    c["keep"] = dict(image=120, text=40)
    json.dump(c, open(out + "/config.json", "w"), indent=1)
    import shutil

    shutil.copy("cache/tokenizer.json", out + "/tokenizer.json")
    PH = os.environ.get("PHOTOS", "examples/photos") + "/"
    names = ["coffee-cup.jpg", "moose.jpg", "coins.jpg", "panda.jpg", "windmill.jpg", "flower.jpg"]
    px = [np.asarray(Image.open(PH + n).convert("RGB").resize((SIZE, SIZE), Image.BILINEAR)) for n in names]
    px.append(np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8))
    px = torch.from_numpy(np.stack(px))
    f, x, v, w = image_ref(px)
    tt = [
        "a cup of coffee",
        "a cat",
        "two dogs are running through the grass",
        "man in a red shirt climbing a rock",
        "children playing soccer",
        "kitten",
        "skateboarder",
        "a giraffe eating broccoli",
        "boats on the water at sunset",
        "a windmill in a field",
        "dragonfly",
        "white bird",
    ]
    ti, tm = pad([ids(t) for t in tt])
    th, tp = text_ref(ti, tm)
    save_file(
        dict(pixels=px, image_pooled=v, text_pooled=tp, text_ids=ti.int(), text_mask=tm.to(torch.uint8)),
        out + "/reference.safetensors",
    )
    for n, z in zip(names + ["noise"], v):
        q, c = z.topk(12)
        print(n, " ".join(inv[allowed[k]] for k in c.tolist()))
    for n, z in zip(tt, tp):
        q, c = z.topk(10)
        print(n, "|", " ".join(inv[allowed[k]] for k in c.tolist()))
