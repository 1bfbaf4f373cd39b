"""Trains gopher. One GPU, one command:

    python3 target.py --data DIR --out DIR [--minutes 8]

The run ends when its time is up: the learning rate falls over the last part of it. Where OUT holds an earlier
run's weights it goes on from those.
"""

import argparse
import math
import time

import torch
import torch.nn.functional as F

from common import Crops, load, load_tokens, optimizers, save, schedule, set_rate
from model import TARGET, Target


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--data", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--minutes", type=float, default=8)
    a.add_argument("--batch", type=int, default=48)
    a.add_argument("--matrix-lr", type=float, default=0.02)
    a.add_argument("--lr", type=float, default=0.004)
    a.add_argument("--weight-decay", type=float, default=0.05)
    a.add_argument("--seed", type=int, default=1)
    a = a.parse_args()
    start = time.time()
    torch.manual_seed(a.seed)
    torch.backends.cuda.matmul.allow_tf32 = True
    dev = "cuda"
    model = Target().to(dev)
    facts = load(model, a.out, "target") or dict(tokens=0)
    length, end = TARGET["context_length"], TARGET["vocab_size"] - 1
    crops = Crops(load_tokens(f"{a.data}/train.u16", dev), a.batch, length + 1, end, a.seed + facts["tokens"])
    held = load_tokens(f"{a.data}/heldout.u16", dev)
    held_bytes = float(open(f"{a.data}/heldout.bytes").read())
    opts = optimizers(model, a.matrix_lr, a.lr, a.weight_decay)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters", flush=True)

    @torch.compile
    def loss_of(ids):
        hidden, _ = model(ids[:, :-1])
        return F.cross_entropy(model.logits(hidden).flatten(0, 1), ids[:, 1:].flatten())

    @torch.no_grad()
    def held_out():
        """Bits per byte of the held-out packages, each stretch with half a context before it."""
        half, bits, n = length // 2, 0.0, 0
        tokens = held[: held.numel() // half * half].long()
        for at in range(0, tokens.numel() - length - 1, half):
            ids = tokens[at : at + length + 1][None].clone()
            ids[:, 0] = end
            with torch.autocast(dev, torch.bfloat16):
                hidden, _ = model(ids[:, :-1])
                logits = model.logits(hidden[:, -half:])
            bits += F.cross_entropy(logits[0], ids[0, -half:], reduction="sum").item() / math.log(2)
            n += half
        return bits / n * held.numel() / held_bytes

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
        if step == 20:  # compiled and warm
            torch.cuda.synchronize()
            began = time.time()
        if step == 120:  # now it is known how many steps there is time for
            torch.cuda.synchronize()
            per = (time.time() - began) / 100
            steps = step + int((a.minutes * 60 - (time.time() - start) - 15) / per)
            print(f"{per * 1000:.1f} ms a step, {a.batch * length / per / 1e6:.2f} M tokens/s, {steps} steps", flush=True)
        if step % 500 == 0 or step == steps:
            print(f"step {step}: loss {loss.item():.3f}, held out {held_out():.4f} bits/byte, {time.time() - start:.0f} s", flush=True)
    save(model, a.out, "target", tokens=facts["tokens"] + seen, held_out_bits_per_byte=held_out())


main()
