"""Makes fusion.safetensors: a fusion re-ranker with random weights, inputs, and what PyTorch makes of them.

Run in this folder with torch and safetensors installed: python fusion.py
"""

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

WIDTH, HEADS, LAYERS, INNER, INPUTS, PATCHES, PICTURES, TOKENS, EPS = 32, 4, 3, 64, 24, 9, 5, 6, 1e-12

torch.manual_seed(7)
weights = {}


def linear_weights(name, inputs, outputs):
    weights[f"{name}.weight"] = torch.randn(outputs, inputs) * 1.5 / inputs**0.5
    weights[f"{name}.bias"] = torch.randn(outputs) * 0.1


def norm_weights(name):
    weights[f"{name}.weight"] = 1 + torch.randn(WIDTH) * 0.1
    weights[f"{name}.bias"] = torch.randn(WIDTH) * 0.1


def linear(name, x):
    return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def norm(name, x):
    return F.layer_norm(x, (WIDTH,), weights[f"{name}.weight"], weights[f"{name}.bias"], EPS)


def attention(query, key, value):
    def heads(x):
        return x.unflatten(-1, (HEADS, WIDTH // HEADS)).transpose(1, 2)

    attended = F.scaled_dot_product_attention(heads(query), heads(key), heads(value))
    return attended.transpose(1, 2).flatten(2)


for side in ["text", "image"]:
    linear_weights(f"{side}_projection", INPUTS, WIDTH)
    norm_weights(f"{side}_norm")
for layer in range(LAYERS):
    name = f"layers.{layer}"
    square = ["query", "key", "value", "attention_output"]
    for part in square + ["cross_query", "cross_key", "cross_value", "cross_output"]:
        linear_weights(f"{name}.{part}", WIDTH, WIDTH)
    linear_weights(f"{name}.intermediate", WIDTH, INNER)
    linear_weights(f"{name}.output", INNER, WIDTH)
    for part in ["self_norm", "cross_norm", "feed_norm"]:
        norm_weights(f"{name}.{part}")
norm_weights("final_norm")
linear_weights("score", WIDTH, 1)

text = torch.randn(1, TOKENS, INPUTS)
patches = torch.randn(PICTURES, PATCHES, INPUTS)
features = norm("image_norm", linear("image_projection", patches))
x = norm("text_norm", linear("text_projection", text)).expand(PICTURES, -1, -1)
for layer in range(LAYERS):
    name = f"layers.{layer}"
    seen = norm(f"{name}.self_norm", x)
    looked = attention(*(linear(f"{name}.{part}", seen) for part in ["query", "key", "value"]))
    x = x + linear(f"{name}.attention_output", looked)
    asking = linear(f"{name}.cross_query", norm(f"{name}.cross_norm", x))
    key, value = (linear(f"{name}.cross_{part}", features) for part in ["key", "value"])
    x = x + linear(f"{name}.cross_output", attention(asking, key, value))
    inner = F.gelu(linear(f"{name}.intermediate", norm(f"{name}.feed_norm", x)))
    x = x + linear(f"{name}.output", inner)
logits = linear("score", norm("final_norm", x[:, 0])).squeeze(-1)

outputs = {"text": text, "patches": patches, "features": features, "logits": logits}
save_file({name: tensor.contiguous() for name, tensor in (weights | outputs).items()}, "fusion.safetensors")
