"""The text tower once more, against the finished photos of image.py and mean.py (CHECKPOINT)."""

import argparse

ap = argparse.ArgumentParser()
a_ = ap.add_argument
a_("checkpoint")
a_("--out", default="ck/text")
a_("--minutes", type=float, default=11)
a_("--batch", type=int, default=240)
a_("--lab", type=float, default=0.25)
a_("--more", type=int, default=112)
a_("--lr", type=float, default=2e-4)
a_("--tlr", type=float, default=0.3)
a_("--ct", type=float, default=45)
a_("--gt", type=float, default=0.2)
a_("--gc", type=float, default=0.3)
a_("--ncls", type=int, default=64)
a_("--hard", type=float, default=0.4)
a_("--tau", type=float, default=2.0)
a_("--warm", type=int, default=15)
a_("--ema", type=float, default=0.985)
a_("--wd", type=float, default=0.05)
a = ap.parse_args()
from teachers import *

os.makedirs(a.out, exist_ok=True)
torch.set_num_threads(2)
torch.manual_seed(0)
random.seed(0)
np.random.seed(0)
ck = torch.load(a.checkpoint)
m = Towers(resized(checkpoint(a.checkpoint)), al)
log_scale = nn.Parameter(ck["scale"].clone())
STILL = ("text/layers/0", "text/layers/1", "text/positions", "text/token_type", "text/embedding_norm")
for n, p in m.named_parameters():
    p.requires_grad_("text/" in n and not any(k in n for k in STILL))
MORE = [[ids(c) for c in five] for five in json.load(open("cache/more.json"))]


@torch.no_grad()
def pictures(ii):
    m.eval()
    z = torch.cat([act2(m.image(m.tail(getf(c, [0] * len(c))))) for c in chunks(ii, 100)])
    m.train()
    return z


ZD = q8(evened(cut(pictures(dev), 120)))
ZI = torch.zeros(len(recs), A, dtype=torch.float16)
ZI[train] = evened(cut(pictures(train), 120)).half()


@torch.no_grad()
def evaluate(name):
    m.eval()
    zt = torch.zeros(len(DEVCAPS), A)
    for c in chunks(DEVORDER, 250):
        zt[c] = act1(m.text(*pad([DEVCAPS[n] for n in c])))
    m.train()
    r = dev_recall(q8(evened(cut(zt, 40))) @ ZD.t())
    print("DEV", name, r, flush=True)
    return r


run = Run(a, m, log_scale, lambda n: a.tlr if "layers" in n else 1.0)
nl = int(a.batch * a.lab)
nm = a.batch - nl
mp, lp, op = [], [], []
evaluate("start")
wt = 0.26
m.train()
while run.goes_on():
    bi = alike(mp, nm)
    M_ = len(bi)
    bi = bi + draw(lp, LAB, nl)
    B = len(bi)
    cj = [random.randrange(len(cap[i])) for i in bi]
    more = [(n, j) for n in draw(op, range(len(MORE)), a.more // 2) for j in random.sample(range(len(MORE[n])), 2)]
    N = B + len(more)
    cs, R = sure_classes(bi, a.ncls)
    texts = [cap[i][j] for i, j in zip(bi, cj)] + [MORE[n][j] for n, j in more]
    texts += [ids(random.choice(TPL[:5]).format(classes[c]["name"])) for c in cs]
    x, k = pad(texts)
    x = holes(x, k, N)
    with torch.no_grad():
        p, z = tviews(bi, [0] * B)
        T, W = taught([ROW[at(i, j)] for i, j in zip(bi, cj)], bi, p, z)
        T = T + OWN * W
    pt, others = texts_of(m, x, k, range(B, N), p, z)
    T = torch.cat([T, others])
    TR, TC_ = T.clone(), T[:B].t().clone()
    TR[M_:B] = 8 * W[M_:B]
    TC_[M_:] = 8 * W[:, M_:].t()
    zt = act1(pt)
    S = evened(prune(zt, 40)) @ ZI[bi].float().t() * log_scale.exp()
    S, SC = S[:N], S[N:]
    Y = same_label(bi)
    no = torch.cat([Y, torch.zeros(len(more), B, dtype=torch.bool)])
    Sb = S[:B]
    kd = (kl(TR, S, a.tau) + kl(TC_, Sb.t(), a.tau)) / 2 * a.tau
    off = (kl(TR, S, a.tau, no) + kl(TC_, Sb.t(), a.tau, Y)) / 2 * a.tau
    gc = -(R * F.log_softmax(SC, 1)).sum(1).mean()
    wanted = [ttxt(i, j) for i, j in zip(bi, cj)] + [text_target(MORE[n], j) for n, j in more]
    gt = -(dense(wanted) * F.log_softmax(pt[:N], 1)).sum(1).mean()
    loss = kd + off + a.hard * contrast(Sb, Y) + a.gt * gt + a.gc * gc
    loss = loss + wt * ((zt.mean(0) ** 2).sum() + 0.02 * zt.sum(1).mean())
    run.learn(loss)
    wt = steered(wt, zt[:N], a.ct)
run.swap()
torch.save(dict(model=m.state_dict(), scale=log_scale.detach(), step=run.step, dev=evaluate("end")), a.out + "/last.pt")
