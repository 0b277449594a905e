"""Lowers the image biases of words that stand on far more labelled photos than show them: CHECKPOINT TO."""

import sys

source, target = sys.argv[1:3]
from teachers import *

ck = torch.load(source)
m = Towers(checkpoint(source), al).eval()
photos = random.Random(5).sample(LAB, 700)
with torch.no_grad():
    x = torch.cat([m.image(m.tail(getf(c, [0] * len(c)))) for c in chunks(photos, 100)])
shown = dense([mix((own[i], 0.5), (teacher_bag(recs[i]["key"]), 0.5)) for i in photos])
# a word may stand on three times the photos that show it, and on 15 % of them in any case
most = (3 * (shown > 0.005).float().mean(0)).clamp(min=0.15)
least = math.expm1(math.expm1(0.5 / 110))  # the logit of an impact of 1
for k in ((x > least).float().mean(0) > most).nonzero()[:, 0].tolist():
    less = x[:, k].quantile(1 - most[k]).clamp(min=0)
    ck["model"]["p.image/bias"][k] -= less
    print(inv[allowed[k]], round(less.item(), 2))
torch.save(ck, target)
