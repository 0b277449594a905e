"""Both towers, with the backbone's last blocks as matrix products and a sparse gradient through max-pooling."""

from common import *

bf = torch.bfloat16


class MaxHead(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h, W, b, topg):
        # h [L,B,H] (masked positions repeat position 0), W [A,H]
        L, B, H = h.shape
        hb = h.detach().to(bf).contiguous()
        Wb = W.detach().to(bf)
        Wt = Wb.t().contiguous()
        acc = None
        for l in range(L):
            lg = hb[l] @ Wt
            acc = lg if acc is None else torch.maximum(acc, lg, out=acc)
        ctx.save_for_backward(hb, Wb)
        ctx.topg = topg
        return acc.float() + b.detach()

    @staticmethod
    def backward(ctx, g):
        hm, Wb = ctx.saved_tensors
        L, B, H = hm.shape
        K = min(ctx.topg, g.shape[1])
        hb = hm.transpose(0, 1)
        c = g.abs().topk(K, 1, sorted=False)[1]
        gv = g.gather(1, c)
        gh = torch.zeros(B, L, H)
        gW = torch.zeros(Wb.shape) if ctx.needs_input_grad[1] else None
        for i in range(0, B, 64):
            ci = c[i : i + 64]
            Ws = Wb[ci]
            hs = hb[i : i + 64]
            j = torch.bmm(hs, Ws.transpose(1, 2)).argmax(1)
            Mx = torch.zeros(ci.shape[0], L, K, dtype=bf)
            Mx.scatter_(1, j[:, None, :], gv[i : i + 64][:, None, :].to(bf))
            gh[i : i + 64] = torch.bmm(Mx, Ws).float()
            if gW is not None:
                win = hs.gather(1, j[:, :, None].expand(-1, -1, H)).float() * gv[i : i + 64][:, :, None]
                gW.index_add_(0, ci.reshape(-1), win.reshape(-1, H))
        gb = torch.zeros(Wb.shape[0])
        gb.index_add_(0, c.reshape(-1), gv.reshape(-1))
        return gh.transpose(0, 1), gW, gb, None


def same_index(n, k, s):
    o = math.ceil(n / s)
    p = max((o - 1) * s + k - n, 0) // 2
    idx = torch.full((o * o, n * n), k * k)
    for oy in range(o):
        for ox in range(o):
            for ky in range(k):
                for kx in range(k):
                    iy, ix = oy * s + ky - p, ox * s + kx - p
                    if 0 <= iy < n and 0 <= ix < n:
                        idx[oy * o + ox, iy * n + ix] = ky * k + kx
    return idx


class DW(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, t, idx):
        C = w.shape[0]
        wz = torch.cat([w.flatten(1), torch.zeros(C, 1)], 1).to(bf)
        Dm = wz.index_select(1, idx.reshape(-1)).view(C, *idx.shape)
        y = torch.bmm(Dm, x).add_(t.to(bf)[:, None, None]).clamp_(0, 6)
        ctx.save_for_backward(x, Dm, idx, y)
        ctx.k = w.shape
        return y

    @staticmethod
    def backward(ctx, g):
        x, Dm, idx, y = ctx.saved_tensors
        C = Dm.shape[0]
        n = ctx.k[-1] ** 2
        g = torch.ops.aten.hardtanh_backward(g.contiguous(), y, 0.0, 6.0)
        gx = torch.bmm(Dm.transpose(1, 2), g)
        gD = torch.bmm(g, x.transpose(1, 2)).float()
        gw = torch.zeros(C, n + 1).index_add_(1, idx.reshape(-1), gD.reshape(C, -1))
        return (
            gx,
            gw[:, :n].reshape(ctx.k),
            (g.view(C, -1) @ torch.ones(g.shape[1] * g.shape[2], 1, dtype=bf)).float()[:, 0],
            None,
        )


class PW(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, W, t, relu):
        Wb = W.to(bf)
        y = torch.mm(Wb, x).add_(t.to(bf)[:, None])
        if relu:
            y.clamp_(0, 6)
        ctx.save_for_backward(x, Wb, y if relu else None)
        return y

    @staticmethod
    def backward(ctx, g):
        x, Wb, y = ctx.saved_tensors
        if y is not None:
            g = torch.ops.aten.hardtanh_backward(g.contiguous(), y, 0.0, 6.0)
        return Wb.t() @ g, (g @ x.t()).float(), (g @ torch.ones(g.shape[1], 1, dtype=bf)).float()[:, 0], None


class Model(nn.Module):
    """parameters named as in model.safetensors with dots -> underscores handled by ParameterDict keys"""

    def __init__(s, P, allowed, size=SIZE, layers=(4, 2)):
        super().__init__()
        s.p = nn.ParameterDict({k.replace(".", "/"): nn.Parameter(v.float().clone()) for k, v in P.items()})
        s.allowed = allowed
        s.layers = layers
        s.drop = 0.1
        n = size // 16
        s.idx = []
        for b in BLOCKS[SPLIT:]:
            s.idx.append(same_index(n, b["kernel"], b["stride"]))
            n = math.ceil(n / b["stride"])

    def w(s, k):
        return s.p[k.replace(".", "/")]

    def tail(s, x):
        # x [C,P,B]
        x = x.to(bf)
        for i, b in enumerate(BLOCKS[SPLIT:]):
            n = f"image.backbone.blocks.{i+SPLIT}."
            C, P, B = x.shape
            r = x
            y = PW.apply(
                x.reshape(C, P * B), s.w(n + "expand.weight").flatten(1), s.w(n + "expand.bias"), True
            ).view(-1, P, B)
            w = s.w(n + "depthwise.weight")
            y = DW.apply(y, w[:, 0], s.w(n + "depthwise.bias"), s.idx[i])
            P = y.shape[1]
            y = PW.apply(
                y.reshape(-1, P * B), s.w(n + "project.weight").flatten(1), s.w(n + "project.bias"), False
            ).view(-1, P, B)
            x = y + r if b["residual"] else y
        C, P, B = x.shape
        return PW.apply(
            x.reshape(C, P * B),
            s.w("image.backbone.head.weight").flatten(1),
            s.w("image.backbone.head.bias"),
            True,
        ).view(-1, P, B)

    def lin(s, x, n):
        return F.linear(x, s.w(n + ".weight").to(x.dtype), s.w(n + ".bias").to(x.dtype))

    def ln(s, x, n):
        return F.layer_norm(x.float(), (384,), s.w(n + ".weight"), s.w(n + ".bias"), 1e-12)

    def layer(s, x, n, mask, dt):
        B, L, H = x.shape
        sp = lambda t: t.view(B, L, 12, 32).transpose(1, 2).reshape(B * 12, L, 32)
        xb = x.to(dt)
        q, k, v = (sp(s.lin(xb, n + a)) for a in ("query", "key", "value"))
        w = torch.bmm(q, k.transpose(1, 2)).float() * (32**-0.5)
        if mask is not None:
            w = w.view(B, 12, L, L).masked_fill(~mask[:, None, None, :], -1e4).view(B * 12, L, L)
        a = torch.bmm(torch.softmax(w, -1).to(dt), v).view(B, 12, L, 32).transpose(1, 2).reshape(B, L, H)
        x = s.ln(
            x + F.dropout(s.lin(a, n + "attention_output").float(), s.drop * 0.5, s.training),
            n + "attention_norm",
        )
        y = s.lin(F.gelu(s.lin(x.to(dt), n + "intermediate")), n + "output").float()
        return s.ln(x + F.dropout(y, s.drop, s.training), n + "output_norm")

    def head(s, x, t, dt):
        return s.ln(F.gelu(s.lin(x.to(dt), f"{t}.transform.dense")).float(), f"{t}.transform.norm")

    def text_hidden(s, ids, mask):
        dt = bf if s.training else torch.float32
        x = s.w("token_embeddings")[ids] + s.w("text.positions")[: ids.shape[1]] + s.w("text.token_type")
        x = F.dropout(s.ln(x, "text.embedding_norm"), s.drop, s.training)
        for i in range(s.layers[0]):
            x = s.layer(x, f"text.layers.{i}.", mask, dt)
        return x

    def text(s, ids, mask, topg=400):
        dt = bf if s.training else torch.float32
        h = s.head(s.text_hidden(ids, mask), "text", dt)
        h = torch.where(mask[:, :, None], h, h[:, :1])
        return MaxHead.apply(
            h.transpose(0, 1), s.w("token_embeddings")[s.allowed], s.w("text.decoder_bias")[s.allowed], topg
        )

    def image_hidden(s, f, keep=None):
        # f [C,P,B] bf16
        dt = bf if s.training else torch.float32
        f = s.tail(f)
        C, P, B = f.shape
        x = (s.w("image.projection.weight").to(bf) @ f.reshape(C, P * B)).view(-1, P, B).permute(
            2, 1, 0
        ).float() + s.w("image.projection.bias")
        x = s.ln(x + s.w("image.positions"), "image.embedding_norm")
        if keep is not None:
            x = x.gather(1, keep[:, :, None].expand(-1, -1, x.shape[2]))
        x = F.dropout(x, s.drop, s.training)
        for i in range(s.layers[1]):
            x = s.layer(x, f"image.layers.{i}.", None, dt)
        return x

    def image(s, f, keep=None, topg=500):
        dt = bf if s.training else torch.float32
        x = s.image_hidden(f, keep)
        h = s.head(x, "image", dt)
        return (
            MaxHead.apply(
                h.transpose(0, 1),
                s.w("token_embeddings")[s.allowed],
                s.w("image.decoder_bias")[s.allowed],
                topg,
            ),
            x,
        )


def act(x):
    return torch.log1p(F.relu(x))
