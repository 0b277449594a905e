"""The fusion re-ranker: text states attend over patch states; contrast and ITM over clusters of first-stage neighbours.

As run: --minutes 26 --clusters 8 --size 12 --lr 8e-4, the best of dev at step 450; then from there
--init --blend 6 --minutes 17 --lr 5e-4, together with the first stage's score, stopped at step 150.
"""

import argparse, time, sys

ap = argparse.ArgumentParser()
a_ = ap.add_argument
a_("--ck", default="ck/v1.pt")
a_("--scale", type=float, default=110)
a_("--out", default="ck/rr")
a_("--steps", type=int, default=1200)
a_("--minutes", type=float, default=35)
a_("--lr", type=float, default=6e-4)
a_("--clusters", type=int, default=6)
a_("--size", type=int, default=16)
a_("--views", type=int, default=6)
a_("--soft", type=float, default=0.2)
a_("--drop", type=float, default=0.1)
a_("--eval", type=int, default=200)
a_("--top", type=int, default=60)
a_("--ema", type=float, default=0.995)
a_("--wd", type=float, default=0.05)
a_("--seed", type=int, default=0)
a_("--init", default="")
a_("--layers", type=int, default=2)
a_("--cap", type=int, default=18)
a_("--blend", type=float, default=0.0)
a = ap.parse_args()
from common import *
from model import *
from data import *

os.makedirs(a.out, exist_ok=True)
torch.set_num_threads(2)
torch.manual_seed(a.seed)
random.seed(a.seed)
ck = torch.load(a.ck, map_location="cpu")
al = torch.tensor(allowed)
m = Model({k[2:].replace("/", "."): v for k, v in ck["model"].items() if k.startswith("p.")}, al)
m.eval()
MAIN = [i for i in train if "group" not in recs[i]]
ii = MAIN + dev
pos = {i: n for n, i in enumerate(ii)}
sf = a.out + "/states.pt"


def prune(z, k):
    v, c = z.topk(k, 1)
    o = torch.zeros_like(z)
    o.scatter_(1, c, v)
    return (o * a.scale).round()


if os.path.exists(sf):
    P, T, toff, tlen, zi, zt = torch.load(sf)
else:

    def logits(x):
        h = m.head(x, "image", torch.float32)
        return MaxHead.apply(
            h.transpose(0, 1), m.w("token_embeddings")[al], m.w("image.decoder_bias")[al], 500
        )

    t0 = time.time()
    P = torch.zeros(len(ii), a.views, 64, 384, dtype=bf)
    zi = []
    m.drop = 0.0
    with torch.no_grad():
        for v in range(a.views):
            for j in range(0, len(ii), 128):
                b = ii[j : j + 128]
                vv = [min(v, recs[i]["v"] - 1) for i in b]
                if v and all(recs[i]["v"] == 1 for i in b):
                    continue
                m.training = v > 0  # bf16 for the augmented views
                x = m.image_hidden(getf(b, vv))
                P[j : j + len(b), v] = x.to(bf)
                if v == 0:
                    zi.append(logits(x.float()))
            print("view", v, round(time.time() - t0), flush=True)
        m.training = False
        zi = torch.cat(zi)
        zi = prune(torch.log1p(act(zi)), 120)
        T = []
        zt = []
        toff = []
        tlen = []
        caps = [c for i in ii for c in cap[i]]
        od = sorted(range(len(caps)), key=lambda k: len(caps[k]))
        Th = [None] * len(caps)
        zt = torch.zeros(len(caps), A, dtype=torch.uint8)
        for j in range(0, len(od), 256):
            b = od[j : j + 256]
            x, k = pad([caps[c] for c in b])
            hd = m.text_hidden(x, k)
            h = m.head(hd, "text", torch.float32)
            h = torch.where(k[:, :, None], h, h[:, :1])
            z = prune(
                act(
                    MaxHead.apply(
                        h.transpose(0, 1), m.w("token_embeddings")[al], m.w("text.decoder_bias")[al], 400
                    )
                ),
                40,
            )
            zt[b] = z.clamp(max=255).to(torch.uint8)
            for r, c in enumerate(b):
                Th[c] = hd[r, : len(caps[c])].to(bf)
        tlen = torch.tensor([len(c) for c in caps])
        toff = torch.cumsum(tlen, 0) - tlen
        T = torch.cat(Th)
        zi = zi.clamp(max=255).to(torch.uint8)
        torch.save((P, T, toff, tlen, zi, zt), sf)
        print("states", round(time.time() - t0), P.shape, T.shape, flush=True)
own = torch.tensor([pos[i] for i in ii for c in cap[i]])
first = [0] * len(ii)
for c in range(len(own) - 1, -1, -1):
    first[own[c]] = c
nm = len(MAIN)
ncap = [len(cap[i]) for i in ii]
mc = sum(ncap[:nm])
# neighbours among training photos for every training caption; candidates on dev
top = torch.zeros(mc, a.top, dtype=torch.int32)
zif = zi[:nm].float().t().contiguous()
with torch.no_grad():
    for j in range(0, mc, 512):
        top[j : j + 512] = (zt[j : min(j + 512, mc)].float() @ zif).topk(a.top, 1)[1].int()
    Sd = zt[mc:].float() @ zi[nm:].float().t()
print("train first stage R@1 %.1f" % ((top[:, 0] == own[:mc]).float().mean() * 100), flush=True)
off, ME = torch.load("cache/minilm.pt")
ME = ME.float()
EC = torch.cat([ME[off[i] : off[i] + len(cap[i])] for i in ii])
EI = F.normalize(torch.stack([ME[off[i] : off[i] + len(cap[i])].mean(0) for i in ii]), dim=1)


class Fusion(nn.Module):
    W, H, L, FF = 256, 8, a.layers, 1024

    def __init__(s):
        super().__init__()
        s.p = nn.ParameterDict()

        def lin(n, i, o):
            s.p[n + "/weight"] = nn.Parameter(torch.randn(o, i) * 0.02)
            s.p[n + "/bias"] = nn.Parameter(torch.zeros(o))

        def ln(n):
            s.p[n + "/weight"] = nn.Parameter(torch.ones(256))
            s.p[n + "/bias"] = nn.Parameter(torch.zeros(256))

        lin("text_projection", 384, 256)
        ln("text_norm")
        lin("image_projection", 384, 256)
        ln("image_norm")
        for l in range(a.layers):
            n = f"layers/{l}/"
            for q in (
                "query",
                "key",
                "value",
                "attention_output",
                "cross_query",
                "cross_key",
                "cross_value",
                "cross_output",
            ):
                lin(n + q, 256, 256)
            lin(n + "intermediate", 256, 1024)
            lin(n + "output", 1024, 256)
            for q in ("self_norm", "cross_norm", "feed_norm"):
                ln(n + q)
        ln("final_norm")
        lin("score", 256, 1)

    def lin(s, x, n):
        W = s.p[n + "/weight"].to(bf).t()
        sh = x.shape
        return (
            torch.mm(x.reshape(-1, sh[-1]).to(bf), W.contiguous())
            .add(s.p[n + "/bias"].to(bf))
            .view(*sh[:-1], -1)
        )

    def ln(s, x, n):
        return F.layer_norm(x.float(), (256,), s.p[n + "/weight"], s.p[n + "/bias"], 1e-12)

    def patches(s, P):
        return s.ln(s.lin(P, "image_projection"), "image_norm").to(bf)

    def texts(s, T):
        return s.ln(s.lin(T, "text_projection"), "text_norm")

    def forward(s, t, mask, p, pd=None):
        """t [N,K,L,256] texts of N clusters, mask [N,K,L], p [N,I,64,256] -> logits [N,I,K]"""
        N, K, L, W = t.shape
        I = p.shape[1]
        d = a.drop if s.training else 0.0
        neg = torch.where(mask, 0.0, -1e4)

        def attn(q, k, v, bias):
            B, Q, _ = q.shape
            S = k.shape[1]
            f = lambda z, n: z.view(B, n, 8, 32).transpose(1, 2).reshape(B * 8, n, 32)
            w = torch.bmm(f(q, Q), f(k, S).transpose(1, 2)).float() * (32**-0.5)
            if bias is not None:
                w = (w.view(B, 8, Q, S) + bias[:, None, None, :]).view(B * 8, Q, S)
            w = torch.softmax(w, -1).to(bf)
            return torch.bmm(w, f(v, S)).view(B, 8, Q, 32).transpose(1, 2).reshape(B, Q, W)

        x = t.reshape(N * K, L, W)
        bias = neg.view(N * K, L)
        joined = False
        for l in range(a.layers):
            n = f"layers/{l}/"
            h = s.ln(x, n + "self_norm").to(bf)
            y = attn(s.lin(h, n + "query"), s.lin(h, n + "key"), s.lin(h, n + "value"), bias)
            x = x + F.dropout(s.lin(y, n + "attention_output").float(), d, s.training)
            if not joined:
                x = x.view(N, 1, K, L, W).expand(N, I, K, L, W).reshape(N * I * K, L, W)
                bias = neg.view(N, 1, K, L).expand(N, I, K, L).reshape(N * I * K, L)
                joined = True
            h = s.ln(x, n + "cross_norm").to(bf).view(N * I, K * L, W)
            pk = p.reshape(N * I, 64, W)
            y = attn(
                s.lin(h, n + "cross_query"), s.lin(pk, n + "cross_key"), s.lin(pk, n + "cross_value"), pd
            )
            x = x + F.dropout(s.lin(y, n + "cross_output").float().view(N * I * K, L, W), d, s.training)
            h = s.ln(x, n + "feed_norm")
            x = x + F.dropout(
                s.lin(F.gelu(s.lin(h, n + "intermediate")), n + "output").float(), d, s.training
            )
        c = s.ln(x[:, 0], "final_norm")
        return (c @ s.p["score/weight"].t() + s.p["score/bias"]).view(N, I, K)


f = Fusion()
# start where words and patches already mean the same: the best linear stand-in for each tower's own way to the
# shared word embeddings, in the 256 directions in which these differ most; attention begins as their likeness
with torch.no_grad():
    E = m.w("token_embeddings")[al].float()
    E = E - E.mean(0)
    B_ = torch.linalg.svd(E, full_matrices=False)[2][:256]
    g = torch.Generator().manual_seed(1)
    tr = T[: toff[mc]][torch.randint(int(toff[mc]), (24000,), generator=g)].float()
    pr = P[:nm, 0].reshape(-1, 384)[torch.randint(nm * 64, (24000,), generator=g)].float()
    for side, h in (("text", tr), ("image", pr)):
        y = m.head(h, side, torch.float32) @ B_.t()
        y = (y - y.mean(0)) / y.std(0).mean()
        X = torch.cat([h, torch.ones(len(h), 1)], 1)
        C = torch.linalg.lstsq(X, y).solution
        print(side, "explained %.3f" % (1 - ((X @ C - y) ** 2).mean() / (y**2).mean()).item(), flush=True)
        f.p[side + "_projection/weight"].copy_(C[:-1].t())
        f.p[side + "_projection/bias"].copy_(C[-1])
    for l in range(a.layers):
        n = f"layers/{l}/"
        Q = torch.linalg.qr(torch.randn(256, 256, generator=g))[0]
        f.p[n + "cross_query/weight"].copy_(Q)
        f.p[n + "cross_key/weight"].copy_(Q)
        f.p[n + "cross_value/weight"].copy_(torch.eye(256))
        f.p[n + "cross_output/weight"].copy_(0.5 * torch.eye(256))
if a.init:
    f.load_state_dict(torch.load(a.init)["fusion"])
print("parameters", sum(p.numel() for p in f.parameters()), flush=True)
ema = {n: p.detach().clone() for n, p in f.named_parameters()}


def swap():
    with torch.no_grad():
        for n, p in f.named_parameters():
            t = p.detach().clone()
            p.copy_(ema[n])
            ema[n].copy_(t)


bb = nn.Parameter(torch.tensor(a.blend))
opt = torch.optim.AdamW(
    [
        {"params": [bb], "weight_decay": 0.0},
        {"params": [p for p in f.parameters() if p.ndim > 1], "weight_decay": a.wd},
        {"params": [p for p in f.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ],
    lr=a.lr,
    betas=(0.9, 0.98),
)


def states(cs, drop=0.0):
    L = int(tlen[cs].max().clamp(max=a.cap if drop else 99))
    ix = (toff[cs][:, None] + torch.arange(L)[None]).clamp(max=len(T) - 1)
    k = torch.arange(L)[None] < tlen[cs][:, None]
    if drop:
        d = torch.rand(k.shape) < drop
        d[:, 0] = False
        k = k & ~d
    return T[ix], k


@torch.no_grad()
def rerank(caps, n=50):
    f.eval()
    pf = torch.cat([f.patches(P[nm + j : nm + j + 200, 0]) for j in range(0, len(dev), 200)])
    out = torch.zeros(len(caps), n)
    cand = torch.zeros(len(caps), n, dtype=torch.long)
    sp = torch.zeros(len(caps), n)
    od = sorted(range(len(caps)), key=lambda k: int(tlen[mc + caps[k]]))
    for j in range(0, len(od), 8):
        b = od[j : j + 8]
        g = [caps[k] for k in b]
        v, c = Sd[g].topk(n, 1)
        t, k = states(torch.tensor([mc + x for x in g]))
        lg = f(f.texts(t)[:, None], k[:, None], pf[c])[:, :, 0]
        out[b] = lg.float()
        cand[b] = c
        sp[b] = v
    f.train()
    return out, cand, sp


def figures(caps, out, cand, sp, w):
    o = torch.tensor([int(own[mc + c]) - nm for c in caps])
    s = out * w[0] + torch.log1p(sp / a.scale**2) * w[1]
    hit = cand == o[:, None]
    has = hit.any(1)
    g = s.masked_fill(~hit, -1e9).max(1)[0]
    r = (s > g[:, None]).sum(1)
    r = torch.where(has, r, torch.tensor(999))
    return [round((r < k).float().mean().item() * 100, 1) for k in (1, 5, 10)]


DC = random.Random(3).sample(range(5 * len(dev)), 1000)


def evaluate(caps=DC):
    swap()
    o, c, s = rerank(caps)
    swap()
    r = {}
    base = figures(caps, o, c, s, (0, 1))
    best = max(
        ((figures(caps, o, c, s, (1, b)), b) for b in (2, 4, 6, 8, 10, 12, 16, 24)), key=lambda x: x[0][0]
    )
    alone = figures(caps, o, c, s, (1, 0))
    return base, alone, best


t0 = time.time()
step = 0
run = collections.defaultdict(float)
rn = 0
order = []
bestr = 0
f.train()
N, K = a.clusters, a.size
while True:
    prog = max(step / a.steps, (time.time() - t0) / 60 / a.minutes)
    if prog >= 1:
        break
    lr = a.lr * min(1, (step + 1) / 60) * (0.5 * (1 + math.cos(math.pi * prog)) * 0.98 + 0.02)
    for g in opt.param_groups:
        g["lr"] = lr
    im = []
    cp = []
    for _ in range(N):
        if not order:
            order = list(range(mc))
            random.shuffle(order)
        c = order.pop()
        o = int(own[c])
        nb = [x for x in top[c].tolist() if x != o]
        pick = (
            random.sample(nb[: a.top // 3], K // 2) + random.sample(nb[a.top // 3 :], K - 1 - K // 2)
            if K > 1
            else []
        )
        I = [o] + pick
        im += I
        cp += [c] + [first[x] + random.randrange(ncap[x]) for x in pick]
    cs = torch.tensor(cp)
    x = torch.tensor(im)
    vs = torch.tensor([random.randrange(a.views) for _ in im])
    t, k = states(cs, 0.08)
    t = f.texts(t)
    p = f.patches(P[x, vs])
    pd = torch.where(torch.rand(len(im), 64) < 0.25, -1e4, 0.0)
    lg = f(t.view(N, K, *t.shape[1:]), k.view(N, K, -1), p.view(N, K, 64, 256), pd)  # [N, image, caption]
    with torch.no_grad():
        sps = torch.log1p(
            torch.bmm(zi[x].float().view(N, K, -1), zt[cs].float().view(N, K, -1).transpose(1, 2))
            / a.scale**2
        ) * (torch.rand(N, 1, 1) > 0.15)
    lone = lg
    lg = lg + bb * sps if a.blend else lg
    with torch.no_grad():
        R = EI[x].view(N, K, -1) @ EC[cs].view(N, K, -1).transpose(1, 2)
        eye = torch.eye(K).expand(N, K, K)
        R = torch.where(eye > 0, torch.ones(()), R)
        Yi = (1 - a.soft) * eye + a.soft * torch.softmax(R / 0.08, 1)
        Yt = (1 - a.soft) * eye + a.soft * torch.softmax(R / 0.08, 2)
    li = -(Yi * F.log_softmax(lg, 1)).sum(1).mean()
    lt = -(Yt * F.log_softmax(lg, 2)).sum(2).mean()
    b = F.binary_cross_entropy_with_logits(
        lone - 2.7, eye, weight=torch.where(eye > 0, K - 1.0, 1.0)
    )  # ITM, balanced
    loss = li + lt + 0.3 * b
    if not torch.isfinite(loss):
        print("NaN", step)
        break
    opt.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(f.parameters(), 1.0)
    opt.step()
    step += 1
    d = min(a.ema, (1 + step) / (10 + step))
    with torch.no_grad():
        torch._foreach_lerp_(
            [ema[n] for n, _ in f.named_parameters()], [p.detach() for _, p in f.named_parameters()], 1 - d
        )
    for kk, v in dict(
        bb=bb.detach(),
        loss=loss.detach(),
        img=li,
        txt=lt,
        itm=b,
        acc=(lg.argmax(1) == torch.arange(K)).float().mean(),
    ).items():
        run[kk] += float(v)
    rn += 1
    if step % 25 == 0:
        print(
            f"step {step} {time.time()-t0:.0f}s lr {lr:.5f} "
            + " ".join(f"{kk} {v/rn:.3f}" for kk, v in run.items()),
            flush=True,
        )
        run.clear()
        rn = 0
    if step % a.eval == 0:
        e = evaluate()
        print("DEV first %s alone %s blend %s" % e, flush=True)
        if e[2][0][0] >= bestr:
            bestr = e[2][0][0]
            swap()
            torch.save(
                dict(fusion={k: v.clone() for k, v in f.state_dict().items()}, step=step), a.out + "/best.pt"
            )
            swap()
swap()
torch.save(dict(fusion=f.state_dict(), step=step), a.out + "/last.pt")
swap()
print("whole dev: first %s alone %s blend %s" % evaluate(list(range(5 * len(dev)))), flush=True)
