"""The mean of two checkpoints, SHARE of the second: FIRST SECOND SHARE TO."""

import sys

import torch

first, second, share, to = sys.argv[1:]
one, two = torch.load(first), torch.load(second)
for name, tensor in one["model"].items():
    tensor.lerp_(two["model"][name], float(share))
torch.save({**two, "model": one["model"]}, to)
