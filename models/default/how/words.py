"""Which words get a row of their own in the vocabulary (cache/rows.json, cache/tokenizer.json)."""

from common import *

cap = json.load(open(D + "captions_val2017.json"))  # COCO's own file
extra = [a["caption"] for a in cap["annotations"]]
json.dump(extra, open("cache/coco_val_caps.json", "w"))
tj = json.load(open(M + "tokenizer.json"))
V = tj["model"]["vocab"]
inv = {i: w for w, i in V.items()}
recs = load_recs()
tr = [c for r in recs if r["split"] in ("train", "extra") for c in r["captions"]]
cnt = collections.Counter(w for c in tr + extra for w in re.findall(r"[a-z]+", c.lower()))
classes = json.load(open(D + "classes.json"))
lab = collections.Counter()
for r in recs:
    for l in r["labels"]:
        for w in re.findall("[a-z]+", l.lower()):
            lab[w] += 1
for c in classes:
    for w in re.findall("[a-z]+", c["name"].lower()):
        lab[w] += 1
    for w in c["words"]:
        lab[w.lower()] += 0
# WordNet: nouns of things by lexicographer file: 05 animal 06 artifact 08 body 13 food 17 object 20 plant 27 substance; first sense only
lex = collections.defaultdict(set)
first = {}
off = {}
for l in open("/usr/share/wordnet/data.noun", encoding="latin1"):
    if l.startswith("  "):
        continue
    p = l.split(" ")
    off[p[0]] = int(p[1])
for l in open("/usr/share/wordnet/index.noun", encoding="latin1"):
    if l.startswith("  "):
        continue
    p = l.split()
    n = int(p[2])
    first[p[0]] = off[p[-n]]
THING = {5, 6, 8, 13, 17, 20, 27, 18}


def noun(w):
    return first.get(w) in THING


def sing(w):
    o = []
    if w.endswith("ies"):
        o.append(w[:-3] + "y")
    if w.endswith("ves"):
        o += [w[:-3] + "f", w[:-3] + "fe"]
    if w.endswith("es"):
        o.append(w[:-2])
    if w.endswith("s"):
        o.append(w[:-1])
    return [x for x in o if x in first]


def plur(w):
    if re.search("(s|x|z|ch|sh)$", w):
        return w + "es"
    if re.search("[^aeiou]y$", w):
        return w[:-1] + "ies"
    return w + "s"


known = set(first)
for pos in ("verb", "adj", "adv"):
    for l in open(f"/usr/share/wordnet/index.{pos}", encoding="latin1"):
        if not l.startswith("  "):
            known.add(l.split()[0])


def inflected(w):
    o = [w]
    for a, b in (
        ("ing", ""),
        ("ing", "e"),
        ("ed", ""),
        ("ed", "e"),
        ("d", ""),
        ("s", ""),
        ("es", ""),
        ("ies", "y"),
        ("er", ""),
        ("ers", ""),
        ("ers", "er"),
        ("ly", ""),
    ):
        if w.endswith(a):
            x = w[: len(w) - len(a)] + b
            o.append(x)
            if len(x) > 2 and x[-1] == x[-2]:
                o.append(x[:-1])
    return any(x in known for x in o)


ODD = {"spam", "someones", "goers", "scape", "skiiers", "whist", "closeup", "sill"}
cand = {
    w
    for w in list(cnt) + list(lab)
    if w not in V and len(w) >= 3 and w not in ODD and (inflected(w) or cnt[w] >= 12)
}
score = {}
for w in cand:
    s = cnt[w]
    if w in lab:
        s += 12
    th = noun(w) or any(noun(x) for x in sing(w))
    if not th:
        s *= 0.6
    score[w] = s
adj = [w for w in sorted(score, key=lambda w: (-score[w], w))]
pick = []
have = set()


def add(w):
    if w not in have and w not in V and len(pick) < 994:
        have.add(w)
        pick.append(w)


for w in adj:
    if score[w] < 4.5:
        break
    add(w)
n0 = len(pick)
for w in list(pick):  # both numbers of a thing
    for x in ([plur(w)] if noun(w) else []) + sing(w):
        if (cnt[x] >= 1 or (w in lab and lab[w] > 0 and x == plur(w) and cnt[w] >= 2)) and len(x) >= 3:
            add(x)
n1 = len(pick)
for w in adj:
    if len(pick) >= 994:
        break
    if noun(w) or any(noun(x) for x in sing(w)):
        add(w)
print(len(cand), n0, n1, len(pick))
print(pick[:120])
print(pick[n0 - 60 : n0])
print(pick[-60:])
free = [i for i in range(1, 999) if inv[i].startswith("[unused")]
print(len(free))
rows = {i: w for i, w in zip(free, pick)}
for i, w in rows.items():
    del V[inv[i]]
    V[w] = i
tj["model"]["vocab"] = dict(sorted(V.items(), key=lambda x: x[1]))
tj["truncation"] = None
tj["padding"] = None
json.dump(tj, open("cache/tokenizer.json", "w"), ensure_ascii=False)
json.dump({str(i): w for i, w in rows.items()}, open("cache/rows.json", "w"))
from tokenizers import Tokenizer

t = Tokenizer.from_file("cache/tokenizer.json")
print(t.encode("A skateboarder on a skateboard with a giraffe and broccoli dragonflies frisbees").tokens)
c2 = collections.Counter()
for e in t.encode_batch(tr):
    c2.update(x for x in e.tokens if x.startswith("##"))
print(sum(c2.values()), c2.most_common(30))
