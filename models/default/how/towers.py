"""v1 and late-1 side by side, as teachers and as where v2 begins."""

from common import *
from data import *
from model import *

v1 = torch.load("cache/v1.pt")
lt = torch.load("cache/late.pt")
cfg = json.load(open(os.environ["RERANKER"] + "/config.json"))
SL, SG = cfg["token_scale"], cfg["sentence_scale"]
al = torch.tensor(allowed)
TOPG = 400  # gradients of a picture or text that go back through the maximum
EMB = v1["token_embeddings"]
OUT = EMB[al].contiguous()

FIRST = os.environ.get("FIRST")


def resized(P):
    """with positions for photos of SIZE"""
    old = P["image.positions"]
    n, g = math.isqrt(len(old)), SIZE // 32
    new = F.interpolate(old.view(1, n, n, -1).permute(0, 3, 1, 2), size=(g, g), mode="bilinear")
    return {**P, "image.positions": new.permute(0, 2, 3, 1).reshape(g * g, -1)}


class Towers(Model):
    """A text tower and a backbone by names; `pictures` and `texts` say which heads."""

    def layer(s, x, n, mask, dt=None):
        B, L, H = x.shape
        sp = lambda t: t.view(B, L, 12, 32).transpose(1, 2)
        q, k, v = (sp(s.lin(x, n + t)) for t in ("query", "key", "value"))
        o = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(B, L, H)
        x = s.ln(x + F.dropout(s.lin(o, n + "attention_output"), s.drop * 0.5, s.training), n + "attention_norm")
        y = s.lin(F.gelu(s.lin(x, n + "intermediate")), n + "output")
        return s.ln(x + F.dropout(y, s.drop, s.training), n + "output_norm")

    def lower(s, ids, mask):
        x = EMB[ids] + s.w("text.positions")[: ids.shape[1]] + s.w("text.token_type")
        return s.upper(F.dropout(s.ln(x, "text.embedding_norm"), s.drop, s.training), mask, (0, 1))

    def upper(s, x, mask, layers=(2, 3)):
        m = mask[:, None, None, :].expand(-1, -1, x.shape[1], -1)
        for i in layers:
            x = s.layer(x, f"text.layers.{i}.", m)
        return x

    def hidden(s, ids, mask):
        return s.upper(s.lower(ids, mask), mask)

    def text(s, ids, mask):
        return s.words(s.hidden(ids, mask), mask)

    def words(s, x, mask):
        h = s.ln(F.gelu(s.lin(x, "text.transform.dense")), "text.transform.norm")
        h = torch.where(mask[:, :, None], h, h[:, :1])
        return MaxHead.apply(h.transpose(0, 1), OUT, s.w("text.bias"), TOPG)

    def image(s, f, keep=None):
        """f: what the backbone gives, [1280, P, B]"""
        C, P, B = f.shape
        x = (s.w("image.projection.weight") @ f.reshape(C, P * B)).view(-1, P, B).permute(2, 1, 0)
        x = s.ln(x + s.w("image.projection.bias") + s.w("image.positions"), "image.embedding_norm")
        if keep is not None:
            x = x.gather(1, keep[:, :, None].expand(-1, -1, x.shape[2]))
        x = F.dropout(x, s.drop, s.training)
        for i in range(2):
            x = s.layer(x, f"image.layers.{i}.", None)
        h = s.ln(F.gelu(s.lin(x, "image.transform.dense")), "image.transform.norm")
        return MaxHead.apply(h.transpose(0, 1), OUT, s.w("image.bias"), TOPG)


def tailkeys(t):
    return {k: v for k, v in t.items() if k.startswith("image.backbone.") and (
        "head" in k or ("blocks" in k and int(k.split(".")[3]) >= SPLIT))}


def heads(t):
    P = {k: v for k, v in t.items() if k.startswith(("image.", "text.")) and not k.startswith("image.backbone")}
    for n in ("image", "text"):
        P[n + ".bias"] = P.pop(n + ".decoder_bias")[al]
    P["text.positions"] = P["text.positions"][:40]
    return P


teacher = Towers({**tailkeys(lt), **{k: v for k, v in lt.items() if k.startswith("text.") and "gate" not in k and "whole" not in k and "text.token." not in k}}, al).eval()
# v1, or the towers of a CHECKPOINT
first = Towers(resized(checkpoint(FIRST)) if FIRST else {**tailkeys(v1), **heads(v1)}, al).eval()
for m_ in (teacher, first):
    for p in m_.parameters():
        p.requires_grad_(False)


@torch.no_grad()
def tpictures(f):
    C, P, B = f.shape
    x = f.permute(2, 1, 0).reshape(B * P, C)
    p = F.normalize(F.linear(x, lt["picture.patch.weight"], lt["picture.patch.bias"]), dim=-1).view(B, P, -1)
    x = x.view(B, P, C)
    q = torch.softmax((x @ lt["picture.pool.weight"].t())[..., 0], 1)
    z = F.normalize(F.linear(torch.bmm(q[:, None], x)[:, 0], lt["picture.whole.weight"], lt["picture.whole.bias"]), dim=1)
    return p, z


@torch.no_grad()
def ttexts(ids, mask, lower=None):
    """tokens that count, flat: vectors, weights, text; and the whole text's vector"""
    x = teacher.upper(teacher.lower(ids, mask) if lower is None else lower, mask)
    t = F.normalize(F.linear(x, lt["text.token.weight"], lt["text.token.bias"]), dim=-1)
    g = (x @ lt["text.gate.weight"].t())[..., 0] + lt["text.gate.bias"]
    mk = mask.clone()
    mk[:, 0] = False
    g = torch.softmax(g.masked_fill(~mk, -1e4), 1)
    mean = (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    z = F.normalize(F.linear(mean, lt["text.whole.weight"], lt["text.whole.bias"]), dim=1)
    return t[mk], g[mk], mk.sum(1), z


@torch.no_grad()
def tscores(t, g, n, zt, p, zi):
    acc = None
    pb = p.transpose(0, 1).contiguous()
    for l in range(pb.shape[0]):
        x = t @ pb[l].t()
        acc = x if acc is None else torch.maximum(acc, x, out=acc)
    S = torch.zeros(len(n), p.shape[0]).index_add_(0, torch.arange(len(n)).repeat_interleave(n), acc * g[:, None])
    return SL * S + SG * zt @ zi.t()


def act1(x):
    return torch.log1p(F.relu(x))


def act2(x):
    return torch.log1p(act1(x))


def prune(z, k):
    return z * (z >= z.detach().topk(k, 1)[0][:, -1:])


def cut(z, k):
    v, c = z.topk(k, 1)
    return torch.zeros_like(z).scatter_(1, c, v)


def chunks(ii, n):
    return [ii[j : j + n] for j in range(0, len(ii), n)]
