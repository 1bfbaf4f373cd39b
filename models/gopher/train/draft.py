"""Trains gopher-mtp, which drafts for gopher, after target.py:

    python3 draft.py --data DIR --out DIR [--minutes 5]

The target is frozen. At every position the draft makes several steps, as it does when it is used: each gets the
state of the one before, the tokens are those of the text, and the target's own distribution is what it learns.
"""

import argparse
import math
import time

import torch
import torch.nn.functional as F

from common import Crops, load, load_tokens, optimizers, save, schedule, set_rate
from model import TARGET, Draft, Target

STEPS = 4


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--data", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--minutes", type=float, default=5)
    a.add_argument("--batch", type=int, default=24)
    a.add_argument("--matrix-lr", type=float, default=0.02)
    a.add_argument("--lr", type=float, default=0.004)
    a.add_argument("--seed", type=int, default=2)
    a = a.parse_args()
    start = time.time()
    torch.manual_seed(a.seed)
    torch.backends.cuda.matmul.allow_tf32 = True
    dev = "cuda"
    target = Target().to(dev).requires_grad_(False)
    if load(target, a.out, "target") is None:
        raise SystemExit("there is no target yet: run target.py first")
    model = Draft(target).to(dev)
    facts = load(model, a.out, "draft") or dict(tokens=0)
    length, end = TARGET["context_length"], TARGET["vocab_size"] - 1
    crops = Crops(load_tokens(f"{a.data}/train.u16", dev), a.batch, length, end, a.seed + facts["tokens"])
    held = load_tokens(f"{a.data}/heldout.u16", dev)
    opts = optimizers(model, a.matrix_lr, a.lr, 0.0)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters", flush=True)

    def steps_of(ids):
        """Yields for each step the draft's logits and the target's where both guess the same token."""
        with torch.no_grad():
            hidden, kept = target(ids)
            wanted = target.logits(hidden)
            embedded = F.embedding(ids, target.token_embd) * math.sqrt(TARGET["embedding_length"])
        n = ids.shape[1] - STEPS - 1  # positions with all steps inside the text
        kept = {s: tuple(t[:, :n] for t in kv) for s, kv in kept.items()}
        state = hidden[:, :n]
        for j in range(STEPS):
            logits, state = model(embedded[:, 1 + j : 1 + j + n].to(state.dtype), state, kept)
            yield logits, wanted[:, 1 + j : 1 + j + n]

    @torch.compile
    def loss_of(ids):
        total = 0.0
        for j, (logits, wanted) in enumerate(steps_of(ids)):
            total = total + 0.8**j * F.cross_entropy(logits.flatten(0, 1), wanted.softmax(-1).flatten(0, 1))
        return total

    @torch.no_grad()
    def acceptance():
        """How often each step, after right ones before it, guesses what the target would say."""
        right = torch.zeros(STEPS)
        reached = torch.zeros(STEPS)
        for at in range(0, held.numel() - length, length):
            ids = held[at : at + length][None].long().clone()
            ids[:, 0] = end
            alive = None
            with torch.autocast(dev, torch.bfloat16):
                for j, (logits, wanted) in enumerate(steps_of(ids)):
                    same = logits.argmax(-1) == wanted.argmax(-1)
                    if alive is None:
                        alive = torch.ones_like(same)
                    reached[j] += alive.sum().item()
                    right[j] += (alive & same).sum().item()
                    # A later step counts where the text itself goes on as the target would.
                    text = ids[:, 2 + j : 2 + j + same.shape[1]]
                    alive = alive & same & (wanted.argmax(-1) == text)
        return (right / reached.clamp(min=1)).tolist()

    step, steps, seen = 0, 10**9, 0
    began = None
    while step < steps:
        set_rate(opts, schedule(step, steps))
        with torch.autocast(dev, torch.bfloat16):
            loss = loss_of(crops.next())
        loss.backward()
        for o in opts:
            o.step()
            o.zero_grad(set_to_none=True)
        step += 1
        seen += a.batch * length
        if step == 20:
            torch.cuda.synchronize()
            began = time.time()
        if step == 70:
            torch.cuda.synchronize()
            per = (time.time() - began) / 50
            steps = step + int((a.minutes * 60 - (time.time() - start) - 15) / per)
            print(f"{per * 1000:.1f} ms a step, {a.batch * length / per / 1e6:.2f} M tokens/s, {steps} steps", flush=True)
        if step % 500 == 0 or step == steps:
            shares = " ".join(f"{x:.3f}" for x in acceptance())
            print(f"step {step}: loss {loss.item():.3f}, acceptance by position {shares}, {time.time() - start:.0f} s", flush=True)
    save(model, a.out, "draft", tokens=facts["tokens"] + seen, acceptance=acceptance())


main()
