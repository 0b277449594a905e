"""What distil.py and image.py share: what the teachers think, kept on disk, batches, and recall on dev."""

import time

from towers import *

if SIZE == 256:
    FT = np.load("cache/t.npy", mmap_mode="r")
    for r, (o, n) in zip(recs, json.load(open("cache/tails.json"))):
        r["to"], r["tv"] = o, n
else:
    LATE = torch.load("cache/late_photos.pt", mmap=True)  # of plain photos only
    for r in recs:
        r["tv"] = r["v"]


def gett(ii, vs):
    x = torch.from_numpy(np.stack([FT[recs[i]["to"] + v] for i, v in zip(ii, vs)])).float()
    return x.permute(2, 1, 0)


def tviews(ii, vs):
    """the re-ranker's vectors of photos: of their patches, of the whole"""
    return tpictures(gett(ii, vs)) if SIZE == 256 else tuple(x[ii].float() for x in LATE)


def q8(z):
    return (z * 110).round().clamp(max=255)


DEVCAPS = [c for i in dev for c in cap[i]]
DEVOWN = [n for n, i in enumerate(dev) for c in cap[i]]
DEVORDER = sorted(range(len(DEVCAPS)), key=lambda n: len(DEVCAPS[n]))


def dev_recall(S):
    return [round(x, 1) for x in recall(S, DEVOWN)]


MAIN = [i for i in train if "group" not in recs[i]]
LAB = [i for i in train if "group" in recs[i]]


NAME = "first" if FIRST else "v1"
OWN = 8 if FIRST else 4  # of FIRST's score beside the re-ranker's


def remember(name, make):
    if not os.path.exists(name):
        t = time.time()
        torch.save(make(), name)
        print("made", name, round(time.time() - t), "s", flush=True)
    return torch.load(name)


@torch.no_grad()
def v1texts(T):
    order = sorted(range(len(T)), key=lambda n: len(T[n]))
    z = torch.zeros(len(T), A, dtype=torch.float16)
    for c in chunks(order, 250):
        z[c] = cut(act1(first.text(*pad([T[n] for n in c]))), 60).half()
    return z


def tcaptions():
    order, o = sorted(range(len(ALL)), key=lambda n: len(cap[ALL[n][0]][ALL[n][1]])), []
    for c in chunks(order, 250):
        t, g, n, z = ttexts(*pad([cap[i][j] for i, j in (ALL[x] for x in c)]))
        o.append((t.half(), g.half(), n, z.half()))
    return (order, *(torch.cat([x[k] for x in o]) for k in range(4)))


UNIQ = {}
for i in train:
    for j in range(len(cap[i])):
        UNIQ.setdefault(tuple(cap[i][j]), (i, j))
ALL = list(UNIQ.values())
ROW = {ij: n for n, ij in enumerate(ALL)}
at = lambda i, j: UNIQ[tuple(cap[i][j])]
V1T = remember(f"cache/{NAME}_texts.pt", lambda: v1texts([cap[i][j] for i, j in ALL]))
V1I = torch.load(f"cache/{NAME}_photos.pt")
order, t, g, n, z = remember("cache/late_texts.pt", tcaptions)
ends = n.cumsum(0).tolist()
TC = {ALL[x]: (t[e - m_ : e], g[e - m_ : e], z[k]) for k, (x, e, m_) in enumerate(zip(order, ends, n.tolist()))}
MPOS = {i: n for n, i in enumerate(MAIN)}
with torch.no_grad():
    X = F.normalize(V1I[MAIN].float(), dim=1)
    NEAR = torch.cat([(c @ X.t()).topk(25, 1)[1] for c in X.split(500)])[:, 1:].tolist()
    del X


def alike(pool, n, near=3):
    """n photos: a half alone, a half in groups that are alike by v1's words"""
    together = n // 2
    bi = draw(pool, MAIN, n - together)
    for q in draw(pool, MAIN, together // (1 + near)):
        bi += [q] + [MAIN[x] for x in random.sample(NEAR[MPOS[q]], near)]
    return list(dict.fromkeys(bi))


def draw(pool, src, n):
    while len(pool) < n:
        x = list(src)
        random.shuffle(x)
        pool.extend(x)
    o = pool[:n]
    del pool[:n]
    return o


def kl(T, S, tau, mask=None):
    """how far the student's order of the columns is from the teacher's, [rows, columns]"""
    if mask is not None:
        T, S = T.masked_fill(mask, -1e4), S.masked_fill(mask, -1e4)
    t = torch.softmax(T / tau, 1)
    return -(t * F.log_softmax(S / tau, 1)).sum(1).mean() + (t * torch.log(t + 1e-9)).sum(1).mean()


def text_target(caps, j):
    return mix((bag([caps[j]]), 0.6), (bag(caps), 0.4))


# how sure each photo is of each class: as the classifier says, and a labelled photo of its own
PROB = {}
for i in train:
    d = {c: p for c, p in teach.get(recs[i]["key"], []) if p >= 0.05}
    if "group" in recs[i]:
        c = wn.get(recs[i].get("wnid") or recs[i]["id"].split("_")[0])
        c = byname.get(recs[i]["group"]) if c is None else c
        if c is not None:
            d = {k: p * 0.3 for k, p in d.items()}
            d[c] = max(d.get(c, 0), 0.8)
    PROB[i] = d


def sure_classes(bi, n):
    """n classes that a batch shows, and as queries their share of each photo, [classes, photos]"""
    sure = collections.Counter()
    for i in bi:
        for c, q in PROB[i].items():
            sure[c] += q * (0.3 + random.random())
    cs = [c for c, q in sure.most_common(n)]
    R = torch.tensor([[PROB[i].get(c, 0.0) for i in bi] for c in cs])
    return cs, R / R.sum(1, keepdim=True)


def same_label(bi):
    """which photos of a batch may be the answer to which one's text, [photos, photos]"""
    group = [recs[i].get("group", i) for i in bi]
    code = {g: n for n, g in enumerate(dict.fromkeys(group))}
    g = torch.tensor([code[x] for x in group])
    return g[:, None] == g[None]


def contrast(S, Y):
    """ITC both ways over texts and photos, [texts, photos]"""
    Yn = Y.float() / Y.sum(1, keepdim=True)
    return -((Yn * F.log_softmax(S, 1)).sum(1).mean() + (Yn * F.log_softmax(S.t(), 1)).sum(1).mean()) / 2


def taught(rows, bi, p, z):
    """captions of ALL against photos, [captions, photos]: the re-ranker's scores, and ln(1 + v1's)"""
    got = [TC[ALL[r]] for r in rows]
    T = tscores(torch.cat([q[0] for q in got]).float(), torch.cat([q[1] for q in got]).float(),
                torch.tensor([len(q[0]) for q in got]), torch.stack([q[2] for q in got]).float(), p, z)
    return T, torch.log1p(evened(V1T[rows].float()) @ evened(V1I[bi].float()).t())


def texts_of(m, x, k, unknown, p, z):
    """logits of texts, the short ones together, and what the re-ranker thinks of the unknown of them"""
    order, parts, scores = k.sum(1).argsort(), [], {}
    for o in order.chunk(4):
        n = int(k[o].sum(1).max())
        xo, ko = x[o][:, :n], k[o][:, :n]
        with torch.no_grad():
            low = teacher.lower(xo, ko)
            e = torch.tensor([i in unknown for i in o.tolist()])
            if e.any():
                scores.update(zip(o[e].tolist(), tscores(*ttexts(None, ko[e], low[e]), p, z)))
        parts.append(m.words(m.upper(low, ko), ko))
    return torch.cat(parts)[order.argsort()], torch.stack([scores[i] for i in unknown])


def holes(x, k, rows):
    """a tenth of the tokens of the first rows masked, [CLS] kept"""
    gone = (torch.rand(x.shape) < 0.1) & k
    gone[:, 0] = False
    gone[rows:] = False
    return torch.where(gone, torch.tensor(103), x)


class Run:
    """AdamW over what is trained, each by its own rate, a cosine over the time, and a running mean of the weights"""

    def __init__(s, a, m, log_scale, rate):
        s.a, s.step, s.start = a, 0, time.time()
        s.trained = [(n, p) for n, p in m.named_parameters() if p.requires_grad]
        groups = {(10.0, 0.0): [log_scale]}
        for n, p in s.trained:
            decay = a.wd if p.ndim > 1 and not n.endswith("positions") else 0.0
            groups.setdefault((rate(n), decay), []).append(p)
        s.opt = torch.optim.AdamW(
            [{"params": v, "s": k[0], "weight_decay": k[1]} for k, v in groups.items()],
            lr=a.lr, betas=(0.9, 0.98), foreach=True)
        s.mean = [p.detach().clone() for n, p in s.trained]

    def goes_on(s):
        """whether there is time left; sets the learning rates if so"""
        done = (time.time() - s.start) / 60 / s.a.minutes
        lr = s.a.lr * min(1, (s.step + 1) / s.a.warm) * (0.5 * (1 + math.cos(math.pi * done)) * 0.98 + 0.02)
        for g in s.opt.param_groups:
            g["lr"] = lr * g["s"]
        return done < 1

    def learn(s, loss):
        assert torch.isfinite(loss), s.step
        s.opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([q for g in s.opt.param_groups for q in g["params"]], 2.0)
        s.opt.step()
        s.step += 1
        d = min(s.a.ema, (1 + s.step) / (10 + s.step))
        with torch.no_grad():
            torch._foreach_lerp_(s.mean, [p.detach() for n, p in s.trained], 1 - d)
        if s.step % 10 == 0:
            print(s.step, round(time.time() - s.start), round(float(loss), 3), flush=True)

    @torch.no_grad()
    def swap(s):
        for (n, p), mean in zip(s.trained, s.mean):
            t = p.detach().clone()
            p.copy_(mean)
            mean.copy_(t)


def steered(w, z, wanted):
    """the weight of a FLOPs loss, moved towards the wanted number of words"""
    return min(1.0, max(1e-4, w * math.exp(0.05 * ((z > 0).float().sum(1).mean().item() / wanted - 1))))
