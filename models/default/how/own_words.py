"""How much the words typed get beside what the text tower gives them, and the least coverage of a match.

For `own_words` and `min_match` in `calibration`, on the dev split: captions (their photo is there), single words
(photos that show them are there) and names of classes that no caption holds. Reads what calibrate.py kept.
"""

import re

import torch

REACHABLE = 105
d = torch.load("cache/calibration.pt")
photos, own = d["photos"].t().contiguous(), d["own"]
tower, table = d["tower"], d["table"]
words = [(weights > 0).sum(1) for weights in table]

# who says a word: three of five captions, or fewer, which is neither right nor wrong
says = torch.zeros(len(d["single"]), photos.shape[1])
at = {word: n for n, word in enumerate(d["single"])}
for caption, photo in zip(d["captions"], own.tolist()):
    for word in set(re.findall("[a-z]+", caption.lower())) & at.keys():
        says[at[word], photo] += 1
shown, unsure = says >= 3, (says > 0) & (says < 3)


def mixed(a, t, added, power):
    """Weights as the program has them: whole numbers up to 255."""
    share = (added / (t > 0).sum(1).clamp(min=1) ** power)[:, None]
    q = (a + share * t * (a.sum(1) / t.sum(1).clamp(min=1))[:, None]) / (1 + share)
    return (q * (255 / q.max(1)[0]).clamp(max=1)[:, None]).round()


def coverage(q):
    return (q @ photos).max(1)[0] / (q.sum(1) * REACHABLE).clamp(min=1)


def recall(q):
    scores = q @ photos
    rank = (scores > scores.gather(1, own[:, None])).sum(1)
    return ["%.1f" % ((rank < k).float().mean() * 100) for k in (1, 5, 10)]


def mean_average_precision(q):
    order = (q @ photos).masked_fill(unsure, -1).argsort(1, descending=True)
    right = shown.gather(1, order).float()
    precision = right.cumsum(1) / torch.arange(1, right.shape[1] + 1)
    return ((precision * right).sum(1) / right.sum(1)).mean() * 100


for added, power in ((0.0, 1.5), (0.3, 1.5), (0.5, 1.5), (0.5, 1.0), (0.7, 1.5), (1.0, 1.0), (1.0, 1.5), (1.5, 1.5)):
    q = [mixed(a, t, added, power) for a, t in zip(tower, table)]
    captions, absent, single = map(coverage, q)
    # a least coverage that loses 5 % of the single words and 2 % of the captions
    word, text = single.quantile(0.05).item(), captions.quantile(0.02).item()
    least = lambda n: text + (word - text) / n.clamp(min=1).float() ** 1.5
    print(
        f"own_words {added} / words^{power}: R@1/5/10 {recall(q[0])}, single words mAP {mean_average_precision(q[2]):.1f},",
        f"least coverage {word:.2f} for a word, {text:.2f} for a text:",
        "absent answered %.1f, captions lost %.1f"
        % ((absent >= least(words[1])).float().mean() * 100, (captions < least(words[0])).float().mean() * 100),
    )
