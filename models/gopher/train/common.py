"""What both training scripts need: data, optimizers, checkpoints."""

import json
import math
import os

import torch

PART = 15 << 20  # bytes of a checkpoint file: some ways of carrying files refuse larger ones


def load_tokens(path, device):
    data = torch.frombuffer(bytearray(open(path, "rb").read()), dtype=torch.uint16)
    return data.to(torch.int32).to(device)


class Crops:
    """Random crops of the data, each behind an end-of-text token, as every prompt is."""

    def __init__(self, tokens, batch, length, end, seed):
        self.tokens, self.batch, self.length, self.end = tokens, batch, length, end
        self.random = torch.Generator(device=tokens.device).manual_seed(seed)

    def next(self):
        n = self.tokens.numel() - self.length
        at = torch.randint(n, (self.batch, 1), generator=self.random, device=self.tokens.device)
        ids = self.tokens[at + torch.arange(self.length, device=self.tokens.device)].long()
        ids[:, 0] = self.end
        return ids


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal by Newton-Schulz steps, for matrices. Source: K. Jordan and others,
    "Muon: an optimizer for hidden layers in neural networks" (2024)."""

    def __init__(self, params, lr, momentum=0.95, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                buf = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buf.lerp_(p.grad, 1 - group["momentum"])
                update = orthogonal(p.grad.lerp(buf, group["momentum"]))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"] * max(1, p.shape[0] / p.shape[1]) ** 0.5)


def orthogonal(g, steps=5):
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.bfloat16()
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        s = x @ x.T
        x = a * x + (b * s + c * s @ s) @ x
    return (x.T if tall else x).to(g.dtype)


def optimizers(model, matrix_lr, other_lr, weight_decay):
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "token_embd" not in name]
    tables = [p for name, p in model.named_parameters() if "token_embd" in name]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    return [
        Muon(matrices, lr=matrix_lr, weight_decay=weight_decay),
        torch.optim.AdamW(
            [dict(params=tables, weight_decay=weight_decay), dict(params=vectors, weight_decay=0.0)],
            lr=other_lr, betas=(0.9, 0.95), fused=True),
    ]


def schedule(step, steps, warm=100, cool=0.4):
    """Rises, stays, and falls to zero over the last part: a run can be lengthened before it falls."""
    if step < warm:
        return (step + 1) / warm
    return min(1.0, (steps - step) / (cool * steps))


def set_rate(opts, factor):
    for o in opts:
        for g in o.param_groups:
            g["lr"] = g.setdefault("base", g["lr"]) * factor


def save(model, folder, name, **facts):
    """Writes the weights as float32, cut into files of at most PART bytes, and an index."""
    os.makedirs(folder, exist_ok=True)
    index, blob = [], bytearray()
    for key, p in model.state_dict().items():
        key = key.removeprefix("_orig_mod.")
        index.append(dict(name=key, shape=list(p.shape), offset=len(blob)))
        blob += p.detach().float().cpu().contiguous().numpy().tobytes()
    parts = math.ceil(len(blob) / PART)
    for i in range(parts):
        with open(os.path.join(folder, f"{name}.{i}.f32"), "wb") as f:
            f.write(blob[i * PART : (i + 1) * PART])
    with open(os.path.join(folder, f"{name}.json"), "w") as f:
        json.dump(dict(parts=parts, tensors=index, **facts), f)


def load(model, folder, name):
    """Reads what save wrote and returns the facts, or None if there is nothing."""
    path = os.path.join(folder, f"{name}.json")
    if not os.path.exists(path):
        return None
    facts = json.load(open(path))
    blob = b"".join(open(os.path.join(folder, f"{name}.{i}.f32"), "rb").read() for i in range(facts["parts"]))
    state = {}
    for t in facts["tensors"]:
        n = math.prod(t["shape"])
        state[t["name"]] = torch.frombuffer(bytearray(blob[t["offset"] : t["offset"] + 4 * n]), dtype=torch.float32).view(t["shape"])
    model.load_state_dict(state)
    return facts
