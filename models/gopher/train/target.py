"""Trains gopher. One GPU, one command:

    python3 target.py --data DIR --out DIR [--minutes 8]

The run ends when its time is up: the learning rate falls over the last part of it, in which the weights that do
best on the validation half of the held-out packages are kept; the other half is what is reported. Where OUT holds an
earlier run's weights it goes on from those.

The source is read many times over: without dropout the network has learnt it by heart after some 200 million tokens
and gets worse on what it has not seen.
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
    a.add_argument("--minutes", type=float, default=4.2)
    a.add_argument("--batch", type=int, default=48)
    a.add_argument("--matrix-lr", type=float, default=0.02)
    a.add_argument("--lr", type=float, default=0.004)
    a.add_argument("--weight-decay", type=float, default=0.1)
    a.add_argument("--dropout", type=float, default=0.15)
    a.add_argument("--seed", type=int, default=1)
    a = a.parse_args()
    start = time.time()
    torch.manual_seed(a.seed)
    torch.backends.cuda.matmul.allow_tf32 = True
    dev = "cuda"
    model = Target(dropout=a.dropout).to(dev)
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
    def held_out(part):
        """Bits per byte of half 0 or 1 of the held-out packages, each stretch with half a context before it."""
        model.eval()
        half, bits, n = length // 2, 0.0, 0
        tokens = held.chunk(2)[part]
        tokens = tokens[: tokens.numel() // half * half].long()
        for at in range(0, tokens.numel() - length - 1, half):
            ids = tokens[at : at + length + 1][None].clone()
            ids[:, 0] = end
            with torch.autocast(dev, torch.bfloat16):
                hidden, _ = model(ids[:, :-1])
                logits = model.logits(hidden[:, -half:])
            bits += F.cross_entropy(logits[0], ids[0, -half:], reduction="sum").item() / math.log(2)
            n += half
        model.train()
        return bits / n * held.numel() / held_bytes

    best, kept = math.inf, None
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
        if step % 500 == 0 or step == steps or step > 0.7 * steps and step % 100 == 0:
            bits = held_out(0)
            print(f"step {step}: loss {loss.item():.3f}, validation {bits:.4f} bits/byte, {time.time() - start:.0f} s", flush=True)
            if bits < best:
                best, kept = bits, {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(kept)
    test = held_out(1)
    print(f"held out {test:.4f} bits/byte", flush=True)
    save(model, a.out, "target", tokens=facts["tokens"] + seen, validation_bits_per_byte=best, held_out_bits_per_byte=test)


main()
