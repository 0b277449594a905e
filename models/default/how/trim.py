"""A model folder without the output tokens of hypernyms.REMOVE: FROM TO."""

import json, numpy as np, sys, shutil, os
from safetensors.numpy import load_file, save_file
from hypernyms import REMOVE

src, dst = sys.argv[1:3]
os.makedirs(dst, exist_ok=True)
v = json.load(open(src + "/tokenizer.json"))["model"]["vocab"]
inv = {i: w for w, i in v.items()}
t = load_file(src + "/model.safetensors")
out = t["output_tokens"]
keep = np.array([inv[int(i)] not in REMOVE for i in out])
print(len(out), keep.sum(), [inv[int(i)] for i in out[~keep]])
for i in out[~keep]:
    t["query_table"][int(i)] = 0
t["output_tokens"] = out[keep]
save_file(t, dst + "/model.safetensors")
r = load_file(src + "/reference.safetensors")
for k in ("image_pooled", "text_pooled"):
    r[k] = np.ascontiguousarray(r[k][:, keep])
save_file(r, dst + "/reference.safetensors")
c = json.load(open(src + "/config.json"))
c["output_tokens"] = int(keep.sum())
json.dump(c, open(dst + "/config.json", "w"), indent=1)
shutil.copy(src + "/tokenizer.json", dst)
