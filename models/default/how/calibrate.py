"""Coverage of answers and of questions without one on dev, and the exclusion floor: FOLDER."""

import os
import sys

out = sys.argv[1]
sys.argv = ["x", os.environ.get("CHECKPOINT", "ck/v2.pt"), "cache/unused", "n"]
from common import *
import data as d
from data import *
from safetensors.torch import load_file
import export as X

SC = 110.0
X.T.clear()
X.T.update(load_file(out + "/model.safetensors"))
allowed = X.T["output_tokens"].tolist()
A = len(allowed)
posof = {t: i for i, t in enumerate(allowed)}
X.al = torch.tensor(allowed)
torch.set_num_threads(2)
rec = [i for i in dev]


def imp(v, k, twice=False):
    z = torch.log1p(torch.relu(v))
    z = torch.log1p(z) if twice else z
    t, c = z.topk(k, 1)
    return (evened(torch.zeros_like(z).scatter_(1, c, t)) * SC).round().clamp(max=255)


W = X.g


def img(ii):
    from model import Model

    Z = []
    for j in range(0, len(ii), 50):
        f = getf(ii[j : j + 50], [0] * len(ii[j : j + 50])).float()  # C P B
        x = f.permute(2, 0, 1).reshape(-1, 120, SIZE // 16, SIZE // 16)
        for i in range(SPLIT, len(BLOCKS)):
            b = BLOCKS[i]
            p = f"image.backbone.blocks.{i}."
            y = F.relu6(same(x, W(p + "expand.weight"), W(p + "expand.bias"), 1))
            y = F.relu6(same(y, W(p + "depthwise.weight"), W(p + "depthwise.bias"), b["stride"], y.shape[1]))
            y = same(y, W(p + "project.weight"), W(p + "project.bias"), 1)
            x = y + x if b["residual"] else y
        f = (
            F.relu6(same(x, W("image.backbone.head.weight"), W("image.backbone.head.bias"), 1))
            .flatten(2)
            .transpose(1, 2)
        )
        h = X.ln(X.lin(f, "image.projection") + W("image.positions"), "image.embedding_norm")
        for i in range(2):
            h = X.layer(h, f"image.layers.{i}.")
        Z.append(imp(X.pooled(h, "image")[0], 120, True))
    return torch.cat(Z)


def txt(T):
    Z = []
    for j in range(0, len(T), 200):
        x, k = pad([ids(t) for t in T[j : j + 200]])
        Z.append(imp(X.text_ref(x, k)[1], 40))
    return torch.cat(Z)


tab = (W("query_table")[torch.tensor(allowed)] * SC).round()


def table(T):
    o = torch.zeros(len(T), A)
    for r, t in enumerate(T):
        for u in set(ids(t)):
            if u in posof:
                o[r, posof[u]] = tab[posof[u]]
    return o


with torch.no_grad():
    zi = img(rec)
    caps = [c for i in rec for c in recs[i]["texts"]]
    words = set(w for c in caps for w in re.findall("[a-z]+", c.lower()))
    names = [c["name"].lower() for c in classes]
    names = [n for n in names if any(V.get(w) in posof for w in re.findall("[a-z]+", n))]
    names = [n for n in names if not any(w in words for w in re.findall("[a-z]+", n))]
    print("names", len(names))
    # what a word reaches in a photo that most captions say it of
    fw0 = [(w, posof[V[w]]) for w in words if V.get(w) in posof]
    vals = []
    for n, i in enumerate(rec):
        c = collections.Counter(w for t in recs[i]["texts"] for w in set(re.findall("[a-z]+", t.lower())))
        vals += [zi[n, posof[V[w]]].item() for w, k in c.items() if k >= 3 and V.get(w) in posof]
    vals = np.array(vals)
    print(
        "impact of said words: mean %.0f quantiles" % vals.mean(),
        np.quantile(vals, [0.1, 0.25, 0.5, 0.75, 0.9, 0.97]),
        "max",
        zi.max().item(),
    )
    own = torch.arange(len(rec)).repeat_interleave(5)
    # words that three of a photo's five captions say
    said = [collections.Counter(w for t in recs[i]["texts"] for w in set(re.findall("[a-z]+", t.lower()))) for i in rec]
    single = sorted({w for c in said for w, k in c.items() if k >= 3 and V.get(w) in posof})
    kept = dict(photos=zi, captions=caps, names=names, single=single, own=own)
    for nm, f in (("tower", txt), ("table", table)):
        kept[nm] = [f(texts) for texts in (caps, names, single)]
    torch.save(kept, "cache/calibration.pt")
    for nm, f in (("tower", txt), ("table", table)):
        zt = f(caps)
        S = zt @ zi.t()
        cov = S.max(1)[0] / (zt.sum(1) * 128).clamp(min=1)
        g = S.gather(1, own[:, None])
        r = ((S > g)).sum(1)
        print(
            nm,
            "R@1/5/10",
            [(r < k).float().mean().item() * 100 for k in (1, 5, 10)],
            "tokens",
            (zi > 0).sum(1).float().mean().item(),
            (zt > 0).sum(1).float().mean().item(),
        )
        zn = f(names)
        cn = (zn @ zi.t()).max(1)[0] / (zn.sum(1) * 128).clamp(min=1)
        for t in (
            0.14,
            0.17,
            0.2,
            0.22,
            0.24,
            0.26,
            0.28,
            0.3,
            0.32,
            0.34,
            0.36,
            0.38,
            0.4,
            0.44,
            0.48,
            0.52,
            0.56,
            0.6,
        ):
            print(
                "  t",
                t,
                "lost %.1f  answered all the same %.1f"
                % ((cov < t).float().mean() * 100, (cn >= t).float().mean() * 100),
            )
        del S
    # exclusion floor
    cnt = collections.Counter()
    fw = [
        (w, posof[V[w]])
        for w in set(w for c in caps for w in re.findall("[a-z]+", c.lower()))
        if V.get(w) in posof
    ]
    show = {
        w: torch.tensor([sum(w in re.findall("[a-z]+", c.lower()) for c in recs[i]["texts"]) for i in rec])
        for w, _ in fw
    }
    big = [(w, p) for w, p in fw if (show[w] >= 3).sum() >= 15]
    for fl in (1, 16, 32, 48):
        print(
            "floor",
            fl,
            len(big),
            "stay %.1f taken %.1f"
            % (
                np.mean([(zi[show[w] >= 3, p] < fl).float().mean() * 100 for w, p in big]),
                np.mean([(zi[show[w] == 0, p] >= fl).float().mean() * 100 for w, p in big]),
            ),
        )
