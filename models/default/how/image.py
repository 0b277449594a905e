"""The image tower, its last blocks too, against a finished text tower (CHECKPOINT).

For v2, that of distil.py; the backbone begins between the re-ranker's, which finds, and v1's, which knows more classes.
For v3, v2 at a larger SIZE, with itself as FIRST teacher."""

import argparse

ap = argparse.ArgumentParser()
a_ = ap.add_argument
a_("checkpoint")
a_("--out", default="ck/image")
a_("--soup", type=float)
a_("--minutes", type=float, default=48)
a_("--batch", type=int, default=240)
a_("--lab", type=float, default=0.35)
a_("--more", type=int, default=112)
a_("--lr", type=float, default=3e-4)
a_("--blr", type=float, default=0.2)
a_("--ilr", type=float, default=0.6)
a_("--keep", type=float, default=0.5)
a_("--ci", type=float, default=135)
a_("--gi", type=float, default=0.8)
a_("--gc", type=float, default=0.4)
a_("--ncls", type=int, default=64)
a_("--hard", type=float, default=0.4)
a_("--tau", type=float, default=2.0)
a_("--eval", type=int, default=40)
a_("--warm", type=int, default=25)
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
P = resized(checkpoint(a.checkpoint))
if a.soup is None:
    a.soup = 0.0 if FIRST else 0.35
if a.soup:
    P = {**P, **{k: a.soup * v1[k] + (1 - a.soup) * lt[k] for k in tailkeys(v1)}}
m = Towers(P, al)
log_scale = nn.Parameter(ck["scale"].clone())
for n, p in m.named_parameters():
    p.requires_grad_("text/" not in n)


NAMED = "first" if FIRST else "v2"


@torch.no_grad()
def words_of(T):
    """the 48 heaviest words of each text"""
    m.eval()
    order = sorted(range(len(T)), key=lambda n: len(T[n]))
    v = torch.zeros(len(T), 48, dtype=torch.float16)
    c = torch.zeros(len(T), 48, dtype=torch.int16)
    for o in chunks(order, 250):
        z, k = act1(m.text(*pad([T[n] for n in o]))).topk(48, 1)
        v[o] = z.half()
        c[o] = k.short()
    return v, c


def full(vc, rows):
    return torch.zeros(len(rows), A).scatter_(1, vc[1][rows].long(), vc[0][rows].float())


def strongest(z):
    v, c = zip(*(x.float().topk(48, 1) for x in z.split(2000)))
    return torch.cat(v).half(), torch.cat(c).short()


# the text tower is still that of FIRST, if it is given
ST = strongest(V1T) if FIRST else remember(f"cache/{NAMED}_texts.pt", lambda: words_of([cap[i][j] for i, j in ALL]))
SD = remember(f"cache/{NAMED}_dev.pt", lambda: words_of(DEVCAPS))
CT = remember(f"cache/{NAMED}_classes.pt", lambda: [words_of([ids(x.format(c["name"])) for c in classes]) for x in TPL[:4]])
QTD = q8(evened(cut(full(SD, list(range(len(DEVCAPS)))), 40)))
CAPROWS = [n for n, (i, j) in enumerate(ALL) if "group" not in recs[i]]


@torch.no_grad()
def evaluate(name):
    m.eval()
    zi = torch.cat([act2(m.image(m.tail(getf(c, [0] * len(c))))) for c in chunks(dev, 100)])
    m.train()
    r = dev_recall(QTD @ q8(evened(cut(zi, 120))).t())
    print("DEV", name, r, flush=True)
    return r


# what a photo's words should be: a half its captions' or label's, a half the classes that the classifier sees
timg = {i: norm(mix((own[i], 0.5), (teacher_bag(recs[i]["key"]), 0.5))) for i in train}


def rate(n):
    return a.blr if "image/backbone" in n else a.ilr if "image/layers" in n else 1.0


run = Run(a, m, log_scale, rate)
nl = int(a.batch * a.lab)
nm = a.batch - nl
mp, lp, op = [], [], []
torch.save(dict(model=m.state_dict(), scale=log_scale.detach(), step=0, dev=evaluate("start")), a.out + "/start.pt")
wi = 0.08
PATCHES = (SIZE // 32) ** 2
m.train()
while run.goes_on():
    bi = alike(mp, nm)
    M_ = len(bi)
    bi = bi + draw(lp, LAB, nl)
    B = len(bi)
    vs = [random.randrange(recs[i]["tv"]) for i in bi]
    f = getf(bi, vs)
    cj = [random.randrange(len(cap[i])) for i in bi]
    here = set(bi)
    # a text for each photo, then captions of other photos
    rows = [ROW[at(i, j)] for i, j in zip(bi, cj)]
    rows += [r for r in draw(op, CAPROWS, a.more) if ALL[r][0] not in here]
    with torch.no_grad():
        p, z = tviews(bi, vs)
        T, W = taught(rows, bi, p, z)
        T = T + OWN * W
        # of labelled texts and photos only what v1 or v2 thinks: the re-ranker has forgotten classes
        TR, TC_ = T.clone(), T[:B].t().clone()
        TR[M_:B] = 8 * W[M_:B]
        TC_[M_:] = 8 * W[:B, M_:].t()
        zt = full(ST, rows)
        cs, R = sure_classes(bi, a.ncls)
        zc = full(random.choice(CT), cs)
    keep = torch.rand(B, PATCHES).argsort(1)[:, : int(PATCHES * a.keep)]
    pi = m.image(m.tail(f), keep)
    zi = act2(pi)
    zp = evened(prune(zi, 120))
    S = evened(prune(zt, 40)) @ zp.t() * log_scale.exp()
    SC = evened(prune(zc, 40)) @ zp.t() * log_scale.exp()
    Y = same_label(bi)
    no = torch.cat([Y, torch.zeros(len(rows) - B, B, dtype=torch.bool)])
    Sb = S[:B]
    kd = (kl(TR, S, a.tau) + kl(TC_, Sb.t(), a.tau)) / 2 * a.tau
    off = (kl(TR, S, a.tau, no) + kl(TC_, Sb.t(), a.tau, Y)) / 2 * a.tau
    itc = contrast(Sb, Y)
    gc = -(R * F.log_softmax(SC, 1)).sum(1).mean()
    gi = -(dense([timg[i] for i in bi]) * F.log_softmax(pi, 1)).sum(1).mean()
    # over captioned and labelled photos each, so that a word on most of either is dear
    fi = ((zi[:M_].mean(0) ** 2).sum() + (zi[M_:].mean(0) ** 2).sum()) / 2
    loss = kd + off + a.hard * itc + a.gi * gi + a.gc * gc + wi * (fi + 0.02 * zi.sum(1).mean())
    run.learn(loss)
    wi = steered(wi, zi, a.ci)
    if run.step % a.eval == 0:
        run.swap()
        evaluate(run.step)
        run.swap()
run.swap()
torch.save(dict(model=m.state_dict(), scale=log_scale.detach(), step=run.step, dev=evaluate("end")), a.out + "/last.pt")
