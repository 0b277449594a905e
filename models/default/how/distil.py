"""v2: the towers of the re-ranker with the heads of v1, taught by both."""

import argparse

ap = argparse.ArgumentParser()
a_ = ap.add_argument
a_("--out", default="ck/v2")
a_("--init", default="")
a_("--minutes", type=float, default=50)
a_("--batch", type=int, default=240)
a_("--lab", type=float, default=0.2)
a_("--more", type=int, default=112)
a_("--lr", type=float, default=4e-4)
a_("--tlr", type=float, default=0.3)
a_("--ilr", type=float, default=0.6)
a_("--keep", type=float, default=0.5)
a_("--pi", type=int, default=120)
a_("--pt", type=int, default=40)
a_("--ci", type=float, default=125)
a_("--ct", type=float, default=42)
a_("--gi", type=float, default=0.4)
a_("--gt", type=float, default=0.2)
a_("--hard", type=float, default=0.4)
a_("--kd", type=float, default=1.0)
a_("--off", type=float, default=1.0)
a_("--tau", type=float, default=2.0)
a_("--tsparse", type=float, default=4.0)
a_("--eval", type=int, default=50)
a_("--warm", type=int, default=25)
a_("--ema", type=float, default=0.985)
a_("--wd", type=float, default=0.05)
a_("--seed", type=int, default=0)
a = ap.parse_args()
from teachers import *

os.makedirs(a.out, exist_ok=True)
torch.set_num_threads(2)
torch.manual_seed(a.seed)
random.seed(a.seed)
np.random.seed(a.seed)


@torch.no_grad()
def encode(m):
    m.eval()
    zi = []
    for c in chunks(dev, 100):
        zi.append(act2(m.image(gett(c, [0] * len(c)))))
    zt = torch.zeros(len(DEVCAPS), A)
    for c in chunks(DEVORDER, 250):
        zt[c] = act1(m.text(*pad([DEVCAPS[n] for n in c])))
    m.train()
    return torch.cat(zi), zt


if os.path.exists("cache/teacher_dev.pt"):
    TDEV = torch.load("cache/teacher_dev.pt")
else:
    with torch.no_grad():
        pz = [tpictures(gett(c, [0] * len(c))) for c in chunks(dev, 100)]
        p_, z_ = (torch.cat([x[k] for x in pz]) for k in (0, 1))
        TDEV = torch.cat([tscores(*ttexts(*pad(c)), p_, z_) for c in chunks(DEVCAPS, 250)])
        zi = torch.load("cache/v1_photos.pt")[dev].float()
        zt = torch.cat([act1(first.text(*pad(c))) for c in chunks(DEVCAPS, 250)])
        V1DEV = q8(cut(zt, 40)) @ q8(cut(zi, 120)).t() / 110**2
        torch.save(TDEV, "cache/teacher_dev.pt")
        print("teacher on dev", dev_recall(TDEV), "v1", dev_recall(V1DEV), flush=True)
        for w in (2, 4, 6):
            print("  with v1", w, dev_recall(TDEV + w * torch.log1p(V1DEV)), flush=True)
        del p_, z_, pz, zi, zt


@torch.no_grad()
def evaluate(m, show=0):
    zi, zt = encode(m)
    pi, pt = q8(cut(zi, a.pi)), q8(cut(zt, a.pt))
    S = pt @ pi.t()
    r = dev_recall(S)
    q = torch.log1p(S / 110**2)
    b = {w: dev_recall(TDEV + w * q)[0] for w in (2, 4, 8, 12)}
    tok = [round((z > 0).float().sum(1).mean().item(), 1) for z in (zi, zt, pi, pt)]
    if show:
        for n in random.Random(0).sample(range(len(dev)), show):
            for nm, z in (("img", pi[n]), ("txt", pt[5 * n])):
                v, c = z.topk(14)
                print("  ", nm, recs[dev[n]]["texts"][0][:60] if nm == "img" else "", "|",
                      " ".join(f"{inv[allowed[k]]}:{x:.0f}" for x, k in zip(v.tolist(), c.tolist())))
    return dict(pruned=r, unpruned=dev_recall(zt @ zi.t())[:3], blend=b, tokens=tok)


# ---- the student
P = heads(v1)
for k, v in lt.items():
    if k.startswith(("text.layers", "text.positions", "text.token_type", "text.embedding_norm")):
        P[k] = v
more = json.load(open("cache/more.json"))
MORE = [[ids(c) for c in m] for m in more]


@torch.no_grad()
def fit(X, Y):
    X = torch.cat([X, torch.ones(len(X), 1)], 1)
    G = X.t() @ X
    G += torch.eye(len(G)) * G.diagonal().mean() * 1e-4
    W = torch.linalg.solve(G, X.t() @ Y)
    print("  fit: explained %.3f" % (1 - ((X @ W - Y) ** 2).mean() / Y.var(0).mean()), flush=True)
    return W[:-1].t().contiguous(), W[-1].contiguous()


if os.path.exists('cache/fit.pt'):
    P = torch.load('cache/fit.pt')
elif not a.init:
    rng = random.Random(3)
    with torch.no_grad():
        X, Y = [], []
        for c in chunks(rng.sample(MAIN, 900) + rng.sample(LAB, 900), 100):
            vs = [0] * len(c)
            x, y = gett(c, vs), first.tail(getf(c, vs))
            y = v1["image.projection.weight"] @ y.reshape(1280, -1)
            X.append(x.reshape(1280, -1)[:, ::2].t())
            Y.append(y[:, ::2].t())
        W, b = fit(torch.cat(X), torch.cat(Y))
        P["image.projection.weight"] = W
        P["image.projection.bias"] = b + v1["image.projection.bias"]
        X, Y = [], []
        for c in chunks(rng.sample(MORE, 4000), 250):
            t, k = pad([rng.choice(x) for x in c])
            X.append(teacher.hidden(t, k)[k])
            Y.append(first.hidden(t, k)[k])
        W, b = fit(torch.cat(X), torch.cat(Y))
        D = P["text.transform.dense.weight"]
        P["text.transform.dense.bias"] = D @ b + P["text.transform.dense.bias"]
        P["text.transform.dense.weight"] = D @ W
        del X, Y
    torch.save(P, 'cache/fit.pt')
m = Towers(P, al)
log_scale = nn.Parameter(torch.tensor(math.log(0.35)))
if a.init:
    ck = torch.load(a.init)
    m.load_state_dict(ck["model"])
    log_scale.data.copy_(ck["scale"])
for n, p in m.named_parameters():
    if any(k in n for k in ("text/layers/0", "text/layers/1", "text/positions", "text/token_type", "text/embedding_norm")):
        p.requires_grad_(False)


def rate(n):
    return a.tlr if "text/layers" in n else a.ilr if "image/layers" in n else 1.0


run = Run(a, m, log_scale, rate)
nl = int(a.batch * a.lab)
nm = a.batch - nl
mp, lp, op = [], [], []
print("main", len(MAIN), "lab", len(LAB), "more", len(MORE), "captions", len(ALL),
      "trained %.1f M" % (sum(p.numel() for n, p in run.trained) / 1e6), flush=True)
print("START", evaluate(m), flush=True)
wi, wt = (0.05, 0.15)
best = 0
m.train()


def save(name, e):
    torch.save(dict(model=m.state_dict(), scale=log_scale.detach(), step=run.step, dev=e), a.out + "/" + name)


while run.goes_on():
    bi = alike(mp, nm)
    bi = bi + draw(lp, LAB, nl)
    B = len(bi)
    vs = [random.randrange(recs[i]["tv"]) for i in bi]
    f = gett(bi, vs)
    cj = [random.randrange(len(cap[i])) for i in bi]
    more_ = [(n, j) for n in draw(op, range(len(MORE)), a.more // 2) for j in random.sample(range(len(MORE[n])), 2)]
    texts = [cap[i][j] for i, j in zip(bi, cj)] + [MORE[n][j] for n, j in more_]
    x, k = pad(texts)
    x = holes(x, k, len(texts))
    with torch.no_grad():
        p, z = tpictures(f)
        T, W = taught([ROW[at(i, j)] for i, j in zip(bi, cj)], bi, p, z)
        T = T + a.tsparse * W  # [texts, photos]
    keep = torch.rand(B, 64).argsort(1)[:, : int(64 * a.keep)]
    pi = m.image(f, keep)
    pt, others = texts_of(m, x, k, range(B, len(texts)), p, z)
    T = torch.cat([T, others])
    zi, zt = act2(pi), act1(pt)
    S = prune(zt, a.pt) @ prune(zi, a.pi).t()
    Y = same_label(bi)
    no = torch.cat([Y, torch.zeros(len(more_), B, dtype=torch.bool)])
    if run.step == 0 and not a.init:
        with torch.no_grad():
            s_ = min((q / 20 for q in range(4, 60)), key=lambda q: float(kl(T, S * q, 1.0)))
            log_scale.fill_(math.log(s_))
            print("scale", s_, flush=True)
    S = S * log_scale.exp()
    Sb, Tb = S[:B], T[:B]
    kd = (kl(T, S, a.tau) + kl(Tb.t(), Sb.t(), a.tau)) / 2 * a.tau
    of = (kl(T, S, a.tau, no) + kl(Tb.t(), Sb.t(), a.tau, Y)) / 2 * a.tau
    itc = contrast(Sb, Y)
    g1 = -(dense([timg[i] for i in bi]) * F.log_softmax(pi, 1)).sum(1).mean()
    g2 = -(dense([ttxt(i, j) for i, j in zip(bi, cj)] + [text_target(MORE[n], j) for n, j in more_]) * F.log_softmax(pt, 1)).sum(1).mean()
    fi, ft = (zi.mean(0) ** 2).sum(), (zt.mean(0) ** 2).sum()
    loss = (a.kd * kd + a.off * of + a.hard * itc + a.gi * g1 + a.gt * g2
            + wi * (fi + 0.02 * zi.sum(1).mean()) + wt * (ft + 0.02 * zt.sum(1).mean()))
    run.learn(loss)
    wi, wt = steered(wi, zi, a.ci), steered(wt, zt, a.ct)
    if run.step % a.eval == 0:
        run.swap()
        e = evaluate(m, show=2 if run.step % 200 == 0 else 0)
        print("DEV", e, flush=True)
        if sum(e["pruned"][:3]) > best:
            best = sum(e["pruned"][:3])
            save("best.pt", e)
        run.swap()
run.swap()
e = evaluate(m, show=4)
print("END", e, flush=True)
save("last.pt", e)
