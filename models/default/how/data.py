"""Training records, their target words and their cached views."""

from common import *
from hypernyms import DROP
import gzip
from tokenizers import Tokenizer

tok = Tokenizer.from_file("cache/tokenizer.json")
tok.no_padding()
tok.no_truncation()
V = tok.get_vocab()
inv = {i: w for w, i in V.items()}
allowed = json.load(open("cache/outputs.json"))
A = len(allowed)
posof = {t: i for i, t in enumerate(allowed)}
recs = json.load(open(f"cache/recs{SIZE}.json"))
for r in recs:
    r["key"] = (r["set"], r["id"])
teach = {}
for l in gzip.open(D + "teacher.jsonl.gz", "rt"):
    t = json.loads(l)
    teach[(t["set"], t["id"])] = t["classes"]
classes = json.load(open(D + "classes.json"))
wn = {c["wnid"]: i for i, c in enumerate(classes)}
byname = {}
for i, c in enumerate(classes):
    byname.setdefault(c["name"].lower(), i)


def cwords(c):
    o = {}
    nm = set(re.findall("[a-z]+", c["name"].lower()))
    for w, v in c["words"].items():
        if w.lower() in DROP and w.lower() not in nm:
            continue
        i = posof.get(V.get(w.lower(), -1))
        if i is not None:
            o[i] = max(o.get(i, 0), v)
    ws = re.findall("[a-z]+", c["name"].lower())
    for j, w in enumerate(ws):
        i = posof.get(V.get(w, -1))
        if i is not None:
            o[i] = max(o.get(i, 0), 1.0 if j == len(ws) - 1 else 0.6)
    return o


CW = [cwords(c) for c in classes]


def ids(t):
    return tok.encode(t.strip()).ids[:40]


TPL = [
    "a photo of a {}",
    "a {}",
    "{}",
    "a picture of the {}",
    "the {} in the photo",
    "there is a {} here",
    "close up of a {}",
    "photo of {}",
]
cap = []
train = []
dev = []
test = []
hold = []
df = collections.Counter()
nc = 0
for i, r in enumerate(recs):
    if r["captions"]:
        r["texts"] = r["captions"]
    else:
        l = r["labels"][0]
        r["group"] = l.lower()
        r["texts"] = [t.format(l) for t in TPL]
    cap.append([ids(c) for c in r["texts"]])
    if r["split"] == "dev":
        dev.append(i)
    elif r["split"] == "test":
        test.append(i)
    elif r["hold"]:
        hold.append(i)
    else:
        train.append(i)
        if r["captions"]:
            for c in cap[i]:
                df.update(set(c))
                nc += 1
idf = lambda t: min(math.log((nc + 1) / (df[t] + 1)), 7.0)


def bag(caps):
    d = collections.defaultdict(float)
    for c in caps:
        for t in set(c):
            if t in posof:
                d[posof[t]] += idf(t)
    s = sum(d.values()) or 1.0
    return {k: v / s for k, v in d.items()}


def teacher_bag(k):
    d = collections.defaultdict(float)
    conf = 0
    for c, p in teach.get(k, []):
        if p < 0.02:
            break
        conf += p
        for t, v in CW[c].items():
            d[t] += v * p
    s = sum(d.values())
    return {k: v / s * min(1, conf) for k, v in d.items()} if s else {}


def mix(*a):
    d = collections.defaultdict(float)
    for b, w in a:
        for k, v in b.items():
            d[k] += v * w
    return dict(d)


def norm(d):
    s = sum(d.values()) or 1.0
    return {k: v / s for k, v in d.items()}


timg = []
own = []
for i, r in enumerate(recs):
    tb = teacher_bag(r["key"])
    if "group" in r:
        c = wn.get(r.get("wnid") or r["id"].split("_")[0])
        c = byname.get(r["group"]) if c is None else c
        d = dict(CW[c]) if c is not None else {}
        ws = [w for w in re.findall("[a-z]+", r["group"]) if V.get(w) in posof]
        for j, w in enumerate(ws):
            d[posof[V[w]]] = max(d.get(posof[V[w]], 0), 1.0 if j == len(ws) - 1 else 0.7)
        b = norm(d)
        timg.append(norm(mix((b, 0.75), (tb, 0.25))))
    else:
        b = bag(cap[i])
        timg.append(norm(mix((b, 0.75), (tb, 0.25))))
    own.append(b)


def ttxt(i, j):
    return mix((bag([cap[i][j]]), 0.6), (own[i], 0.4))


def dense(l):
    T = torch.zeros(len(l), A)
    for r, d in enumerate(l):
        if d:
            T[r, list(d.keys())] = torch.tensor(list(d.values()))
    return T


def pad(l):
    L = max(map(len, l))
    x = torch.zeros(len(l), L, dtype=torch.long)
    k = torch.zeros(len(l), L, dtype=torch.bool)
    for r, s in enumerate(l):
        x[r, : len(s)] = torch.tensor(s)
        k[r, : len(s)] = True
    return x, k


FE = np.load(f"cache/f{SIZE}.npy", mmap_mode="r")


def getf(ii, vs):
    x = torch.from_numpy(np.stack([FE[recs[i]["o"] + v] for i, v in zip(ii, vs)]).view(np.int16)).view(
        torch.bfloat16
    )
    return x.permute(2, 1, 0).contiguous()


def success(ranks):
    """R@1, 5 and 10 in percent, of ranks from 0"""
    return [(ranks < k).float().mean().item() * 100 for k in (1, 5, 10)]


def best_ranks(S, own):
    """where each photo has the first of its captions, ties in order, of scores [captions, photos]"""
    rk = torch.argsort(-S.t(), dim=1, stable=True)
    pos = torch.empty_like(rk)
    pos.scatter_(1, rk, torch.arange(rk.shape[1]).expand_as(rk).contiguous())
    best = torch.full((S.shape[1],), 10**9)
    for c, o in enumerate(own.tolist()):
        best[o] = min(best[o], pos[o, c])
    return best


def recall(S, own):
    """R@1, 5 and 10 of captions [captions, photos], and of photos, in percent; ties in order"""
    own = torch.tensor(own)
    g = S.gather(1, own[:, None])
    ix = torch.arange(S.shape[1])[None]
    r = ((S > g) | ((S == g) & (ix < own[:, None]))).sum(1)
    return success(r) + success(best_ranks(S, own))
