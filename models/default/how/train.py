"""A training run. The runs behind v1, each with --batch 384:

    --steps 3000 --minutes 66 --lr 4e-4 --eval 60 --kw 0 --once 1 --out ck/a      the best of dev, step 120
    --init ck/a/best.pt --steps 170 --lr 2.5e-4 --lab 0.25 --gi 0.7 --gt 0.3 --kw 0.12 --once 1 --out ck/b   until step 40
    --init ck/b/best.pt --steps 110 --lr 2.2e-4 --lab 0.25 --gi 0.7 --gt 0.3 --kw 0.12 --rescale 0.5 --out ck/c   until step 36
    --init ck/a/best.pt --steps 80 --lr 2.2e-4 --gt 0.25 --ci 116 --ct 38 --out ck/d

(run a before the words of hypernyms.py were dropped; temperatures were fitted from run d on only.)
"""

import argparse, time, sys

ap = argparse.ArgumentParser()
a_ = ap.add_argument
a_("--out", default="ck/a")
a_("--init", default="v0")
a_("--backbone", default="v0")
a_("--steps", type=int, default=600)
a_("--batch", type=int, default=384)
a_("--lr", type=float, default=3e-4)
a_("--ci", type=float, default=110)
a_("--ct", type=float, default=38)
a_("--pi", type=int, default=120)
a_("--pt", type=int, default=40)
a_("--gi", type=float, default=0.5)
a_("--gt", type=float, default=0.2)
a_("--soft", type=float, default=0.25)
a_("--softT", type=float, default=0.08)
a_("--dense", type=float, default=0.3)
a_("--keep", type=float, default=0.5)
a_("--eval", type=int, default=50)
a_("--seed", type=int, default=0)
a_("--warm", type=int, default=30)
a_("--lab", type=float, default=0.2)
a_("--blr", type=float, default=0.3)
a_("--minutes", type=float, default=999)
a_("--resume", default="")
a_("--ema", type=float, default=0.99)
a_("--wd", type=float, default=0.05)
a_("--caps", type=int, default=1)
a_("--kw", type=float, default=0.06)
a_("--once", type=int, default=0)
a_("--rescale", type=float, default=0.0)
a = ap.parse_args()
from common import *
from model import *
from data import *
from safetensors.torch import load_file

os.makedirs(a.out, exist_ok=True)
torch.set_num_threads(2)
torch.manual_seed(a.seed)
random.seed(a.seed)
np.random.seed(a.seed)
v0 = {k: v.float() if v.dtype == torch.float16 else v for k, v in load_file(M + "model.safetensors").items()}
P = {
    k: v
    for k, v in v0.items()
    if k not in ("output_tokens", "query_table")
    and not any(k.startswith(f"image.backbone.blocks.{i}.") for i in range(SPLIT))
    and not k.startswith("image.backbone.stem")
}
n = SIZE // 32
P["image.positions"] = (
    F.interpolate(
        P["image.positions"].view(7, 7, 384).permute(2, 0, 1)[None],
        (n, n),
        mode="bilinear",
        align_corners=False,
    )[0]
    .permute(1, 2, 0)
    .reshape(n * n, 384)
)
if a.backbone != "v0":
    for k, (w, b) in folded().items():
        if k in ("stem", "fc") or (k[0].isdigit() and int(k.split(".")[0]) < SPLIT):
            continue
        nm = "image.backbone." + ("" if k == "head" else "blocks.") + k
        P[nm + ".weight"] = w
        P[nm + ".bias"] = b
# new words start from the mean of their pieces
from tokenizers import Tokenizer as Tk

ot = Tk.from_file(M + "tokenizer.json")
ot.no_padding()
ot.no_truncation()
E0 = v0["token_embeddings"]
rows = {int(k): w for k, w in json.load(open("cache/rows.json")).items()}
mb_i = P["image.decoder_bias"][v0["output_tokens"].long()].mean()
mb_t = P["text.decoder_bias"][v0["output_tokens"].long()].mean()
for i, w in rows.items():
    P["token_embeddings"][i] = E0[ot.encode(w, add_special_tokens=False).ids].mean(0)
    P["image.decoder_bias"][i] = mb_i
    P["text.decoder_bias"][i] = mb_t
al = torch.tensor(allowed)
m = Model(P, al)
aux = nn.ModuleDict(dict(d=nn.Linear(384, 384)))
log_scale = nn.Parameter(torch.tensor(math.log(0.35)))
if a.init != "v0":
    ck = torch.load(a.init, map_location="cpu")
    m.load_state_dict(ck["model"])
    aux.load_state_dict(ck["aux"])
    with torch.no_grad():
        log_scale.copy_(ck["scale"] + a.rescale)
off, ME = torch.load("cache/minilm.pt")
ME = ME.float()
# short queries: one to three of a caption's own words; right for every photo whose captions hold them all
words = [set(o) for o in own]


def keywords(i, j):
    t = [x for x in dict.fromkeys(cap[i][j]) if x in posof]
    if len(t) < 2:
        return None
    k = sorted(random.sample(range(len(t)), min(len(t), random.choice((1, 1, 2, 3)))))
    t = [t[n] for n in k]
    return ([101] + t + [102], {posof[x] for x in t})


def grp(n):
    n = n.replace("/", ".").replace("p.", "", 1)
    if n.startswith("image.backbone"):
        return a.blr
    if n in ("token_embeddings", "text.positions", "text.token_type") or n.startswith(
        ("text.embedding", "text.layers")
    ):
        return 0.25
    if n.startswith("image.layers"):
        return 0.6
    return 1.0


gs = {}
named = [("m." + n, p) for n, p in m.named_parameters()]
for n, p in m.named_parameters():
    wd = a.wd if p.ndim > 1 and not n.endswith(("token_embeddings", "positions")) else 0.0
    gs.setdefault((grp(n), wd), []).append(p)
gs.setdefault((1.0, 0.0), []).extend(list(aux.parameters()))
gs[(20.0, 0.0)] = [log_scale]
opt = torch.optim.AdamW(
    [{"params": v, "lr": a.lr, "s": k[0], "weight_decay": k[1]} for k, v in gs.items()],
    betas=(0.9, 0.98),
    foreach=True,
)
ema = {n: p.detach().clone() for n, p in m.named_parameters()}


def swap():
    with torch.no_grad():
        for n, p in m.named_parameters():
            t = p.detach().clone()
            p.copy_(ema[n])
            ema[n].copy_(t)


def act2(x):
    return act(x) if a.once else torch.log1p(act(x))


def prune(z, k):
    v, c = z.topk(k, 1)
    o = torch.zeros_like(z)
    o.scatter_(1, c, v)
    return o


def q8(z):
    return (z * 110).round().clamp(max=255)


@torch.no_grad()
def encode(ii, full=False):
    m.eval()
    zi = torch.cat(
        [act2(m.image(getf(ii[j : j + 100], [0] * len(ii[j : j + 100])))[0]) for j in range(0, len(ii), 100)]
    )
    caps = [c for i in ii for c in cap[i]]
    zt = torch.cat([act(m.text(*pad(caps[j : j + 250]))) for j in range(0, len(caps), 250)])
    m.train()
    return zi, zt


@torch.no_grad()
def evaluate(ii, show=0):
    zi, zt = encode(ii)
    own = [n for n, i in enumerate(ii) for c in cap[i]]
    full = recall(zt @ zi.t(), own)
    pi, pt = q8(prune(zi, a.pi)), q8(prune(zt, a.pt))
    pr = recall(pt @ pi.t(), own)
    if show:
        for n in random.Random(0).sample(range(len(ii)), show):
            for nm, z in (("img", pi[n]), ("txt", pt[5 * n])):
                v, c = z.topk(16)
                print(
                    "  ",
                    nm,
                    recs[ii[n]]["texts"][0][:60] if nm == "img" else "",
                    "|",
                    " ".join(f"{inv[allowed[k]]}:{x:.0f}" for x, k in zip(v.tolist(), c.tolist())),
                )
    return (
        full,
        pr,
        (
            (zi > 0).float().sum(1).mean().item(),
            (zt > 0).float().sum(1).mean().item(),
            (pi > 0).float().sum(1).mean().item(),
            (pt > 0).float().sum(1).mean().item(),
        ),
    )


MAIN = [i for i in train if "group" not in recs[i]]
LAB = [i for i in train if "group" in recs[i]]
print("A", A, "main", len(MAIN), "lab", len(LAB), "hold", len(hold), flush=True)


def passes():
    return int(open("cache/passes").read())


nl = int(a.batch * a.lab)
nm = a.batch - nl
mp = []
lp = []


def draw(pool, src, n):
    while len(pool) < n:
        x = list(src)
        random.shuffle(x)
        pool.extend(x)
    o = pool[:n]
    del pool[:n]
    return o


wi, wt = (1e-3, 1e-3) if a.init == "v0" else (0.06, 0.17)
step = 0
bestr = 0
run = collections.defaultdict(float)
rn = 0
if a.resume:
    ck = torch.load(a.resume, map_location="cpu")
e = evaluate(dev)
print(
    "START full %s pruned %s tokens %s"
    % ([round(x, 1) for x in e[0]], [round(x, 1) for x in e[1]], [round(x, 1) for x in e[2]]),
    flush=True,
)
m.train()
t0 = time.time()
while step < a.steps:
    prog = max(step / a.steps, (time.time() - t0) / 60 / a.minutes)
    if prog >= 1:
        break
    lr = a.lr * min(1, (step + 1) / a.warm) * (0.5 * (1 + math.cos(math.pi * prog)) * 0.98 + 0.02)
    for g in opt.param_groups:
        g["lr"] = lr * g["s"]
    bi = draw(mp, MAIN, nm) + draw(lp, LAB, nl)
    P_ = passes()
    vs = [random.randrange(min(recs[i]["v"], max(1, P_))) for i in bi]
    keep = torch.rand(len(bi), 64).argsort(1)[:, : max(8, int(64 * a.keep))]
    pi, hid = m.image(getf(bi, vs), keep)
    cj = [random.sample(range(len(cap[i])), a.caps) for i in bi]
    flat = [(i, j) for i, js in zip(bi, cj) for j in js]
    kw = [keywords(i, j) if "group" not in recs[i] and random.random() < a.kw else None for i, j in flat]
    x, k = pad([w[0] if w else cap[i][j] for (i, j), w in zip(flat, kw)])
    dr = (torch.rand(x.shape) < 0.12) & k & torch.tensor([w is None for w in kw])[:, None]
    dr[:, 0] = False
    x = torch.where(dr, torch.tensor(103), x)
    ln = k.sum(1)
    od = ln.argsort()
    pt = torch.cat([m.text(x[o][:, : int(ln[o].max())], k[o][:, : int(ln[o].max())]) for o in od.chunk(3)])[
        od.argsort()
    ]
    zi = act2(pi)
    zt = act(pt)
    ui, ut = zi, zt
    zi = zi * (zi >= zi.detach().topk(a.pi, 1)[0][:, -1:])
    zt = zt * (zt >= zt.detach().topk(a.pt, 1)[0][:, -1:])
    S0 = zi @ zt.t()
    S = S0 * log_scale.exp()  # B x (B caps)
    gk = [recs[i].get("group", i) for i in bi]
    code = {g: n for n, g in enumerate(dict.fromkeys(gk))}
    gi_ = torch.tensor([code[g] for g in gk])
    gt_ = gi_.repeat_interleave(a.caps)
    Y = (gi_[:, None] == gt_[None]).float()
    for n, w in enumerate(kw):
        if w:
            Y[:, n] = torch.tensor([float(w[1] <= words[i]) for i in bi])
    # soft positives: how alike the texts are, by the sentence encoder
    et = torch.stack([ME[off[i] + j] for i, j in flat])
    ei = torch.stack([ME[off[i] : off[i] + len(cap[i])].mean(0) for i in bi])
    ei = F.normalize(ei, dim=1)
    with torch.no_grad():
        R = ei @ et.t()
        R = torch.where(Y > 0, torch.ones(()), R)
        for n, w in enumerate(kw):
            if w:
                R[:, n] = 0.2 + 0.8 * Y[:, n]
        Yi = (1 - a.soft) * Y / Y.sum(1, keepdim=True) + a.soft * torch.softmax(R / a.softT, 1)
        Yt = ((1 - a.soft) * Y / Y.sum(0, keepdim=True) + a.soft * torch.softmax(R / a.softT, 0)).t()
    if step == 0 and a.init != "v0":
        with torch.no_grad():
            f = lambda g: float(
                -(
                    (Yi * F.log_softmax(S0 * g, 1)).sum(1).mean()
                    + (Yt * F.log_softmax(S0.t() * g, 1)).sum(1).mean()
                )
                / 2
            )
            g = min((x / 20 for x in range(4, 60)), key=f)
            print("temperature", float(log_scale.exp()), f(float(log_scale.exp())), "->", g, f(g), flush=True)
            log_scale.fill_(math.log(g))
            S = S0 * log_scale.exp()
    itc = -((Yi * F.log_softmax(S, 1)).sum(1).mean() + (Yt * F.log_softmax(S.t(), 1)).sum(1).mean()) / 2
    g1 = -(dense([timg[i] for i in bi]) * F.log_softmax(pi, 1)).sum(1).mean()
    g2 = (
        -(
            dense(
                [
                    mix((norm({t: 1.0 for t in w[1]}), 0.85), (own[i], 0.15)) if w else ttxt(i, j)
                    for (i, j), w in zip(flat, kw)
                ]
            )
            * F.log_softmax(pt, 1)
        )
        .sum(1)
        .mean()
    )
    fi = (ui.mean(0) ** 2).sum()
    ft = (ut.mean(0) ** 2).sum()
    ni = (ui > 0).float().sum(1).mean().item()
    nt = (ut > 0).float().sum(1).mean().item()
    dz = F.normalize(aux["d"](hid.mean(1)), dim=1)
    SD = dz @ et.t() / 0.05
    ds = -((Yi * F.log_softmax(SD, 1)).sum(1).mean() + (Yt * F.log_softmax(SD.t(), 1)).sum(1).mean()) / 2
    loss = (
        itc
        + a.gi * g1
        + a.gt * g2
        + wi * (fi + 0.02 * ui.sum(1).mean())
        + wt * (ft + 0.02 * ut.sum(1).mean())
        + a.dense * ds
    )
    if not torch.isfinite(loss):
        print("NaN", step)
        break
    opt.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_([p for g in opt.param_groups for p in g["params"]], 2.0)
    opt.step()
    step += 1
    wi = min(1.0, max(1e-4, wi * math.exp(0.05 * (ni / a.ci - 1))))
    wt = min(1.0, max(1e-4, wt * math.exp(0.05 * (nt / a.ct - 1))))
    d = min(a.ema, (1 + step) / (10 + step))
    with torch.no_grad():
        torch._foreach_lerp_(
            [ema[n] for n, p in m.named_parameters()], [p.detach() for n, p in m.named_parameters()], 1 - d
        )
    with torch.no_grad():
        acc = (S.argmax(1) == torch.arange(len(bi)) * a.caps).float().mean()
    for kk, v in dict(
        loss=loss, itc=itc, gi=g1, gt=g2, ds=ds, fi=fi, ft=ft, ni=ni, nt=nt, wi=wi, wt=wt, sc=log_scale.exp()
    ).items():
        run[kk] += float(v.detach() if torch.is_tensor(v) else v)
    rn += 1
    if step % 10 == 0:
        print(
            f"step {step} {time.time()-t0:.0f}s lr {lr:.5f} "
            + " ".join(f"{kk} {v/rn:.3g}" for kk, v in run.items()),
            flush=True,
        )
        run.clear()
        rn = 0
    if step % a.eval == 0 or step == a.steps:
        swap()
        e = evaluate(dev, show=2 if step % 200 == 0 else 0)
        print(
            "DEV full %s pruned %s tokens %s"
            % ([round(x, 1) for x in e[0]], [round(x, 1) for x in e[1]], [round(x, 1) for x in e[2]]),
            flush=True,
        )
        if sum(e[1]) > bestr:
            bestr = sum(e[1])
            torch.save(
                dict(model=m.state_dict(), aux=aux.state_dict(), scale=log_scale.detach(), step=step),
                a.out + "/best.pt",
            )
        swap()
swap()
torch.save(
    dict(model=m.state_dict(), aux=aux.state_dict(), scale=log_scale.detach(), step=step), a.out + "/last.pt"
)
