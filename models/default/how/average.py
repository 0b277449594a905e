"""The weights of v1: a mean of four runs' weights."""

import torch

runs = {"ck/a/best.pt": 0.5, "ck/b/best.pt": 0.2, "ck/c/best.pt": 0.1, "ck/d/last.pt": 0.2}
models = [(share, torch.load(path, map_location="cpu")["model"]) for path, share in runs.items()]
first = models[0][1]
mean = {
    name: sum(share * model[name] for share, model in models) if tensor.is_floating_point() else tensor
    for name, tensor in first.items()
}
torch.save(dict(model=mean, step=0), "ck/v1.pt")
