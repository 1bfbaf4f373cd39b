"""gopher's two networks: a gemma4 decoder and the gemma4-assistant that drafts for it.

What is computed here is what tenon's model/gemma4.go and model/gemma4_assistant.go compute from the exported files.
"""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

# Hyper-parameters, under the names that GGUF gives them.
TARGET = dict(
    vocab_size=4096, context_length=2048, embedding_length=320, block_count=8, feed_forward_length=1024,
    head_count=4, head_count_kv=2, key_length=64, sliding_window=512,
    sliding_window_pattern=[True, True, False, True, True, False, True, False],
    shared_kv_layers=2, freq_base=10000.0, final_logit_softcapping=30.0, eps=1e-6,
)
DRAFT = dict(
    embedding_length=128, block_count=2, feed_forward_length=512, head_count=4,
    sliding_window_pattern=[True, False], eps=1e-6,
)


def rms(x, weight=None, eps=1e-6):
    y = F.rms_norm(x.float(), (x.shape[-1],), eps=eps)
    if weight is not None:
        y = y * weight
    return y.to(x.dtype)


def rope_table(n, dim, base, device, first=0):
    angle = torch.arange(first, first + n, device=device, dtype=torch.float32)[:, None]
    angle = angle * base ** (-torch.arange(0, dim, 2, device=device, dtype=torch.float32) / dim)
    return angle.cos(), angle.sin()


def rope(x, table):
    """Turns pairs (i, i + dim/2) of x [batch, tokens, heads, dim]."""
    cos, sin = (t[None, : x.shape[1], None, :] for t in table)
    a, b = x.float().chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1).to(x.dtype)


def window_mask(n, window, device, ahead=0):
    """Which keys a query sees: those before it and less than window away. The query of row i stands at position
    i + ahead and sees keys up to i."""
    q = torch.arange(n, device=device)[:, None]
    k = torch.arange(n, device=device)[None, :]
    seen = k <= q
    if window:
        seen &= q + ahead - k < window
    return seen


def attend(q, k, v, mask):
    """Attention with scale 1 of q [batch, tokens, heads, dim] over k and v with fewer heads."""
    group = q.shape[2] // k.shape[2]
    k, v = (t.repeat_interleave(group, dim=2).transpose(1, 2) for t in (k, v))
    if mask is None:
        out = F.scaled_dot_product_attention(q.transpose(1, 2), k, v, is_causal=True, scale=1.0)
    else:
        out = F.scaled_dot_product_attention(q.transpose(1, 2), k, v, attn_mask=mask, scale=1.0)
    return out.transpose(1, 2).flatten(2)


def linear(n_in, n_out, gain=1.0):
    w = nn.Parameter(torch.empty(n_out, n_in))
    nn.init.normal_(w, std=gain / math.sqrt(n_in))
    return w


def ones(n, value=1.0):
    return nn.Parameter(torch.full((n,), value))


class Block(nn.Module):
    """A layer. One without keys of its own reads those of another."""

    def __init__(self, n, ff, heads, kv_heads, dim, eps, own_kv, depth, dropout=0.0):
        super().__init__()
        self.heads, self.kv_heads, self.dim, self.eps, self.own_kv = heads, kv_heads, dim, eps, own_kv
        self.dropout = dropout
        self.attn_norm, self.post_attention_norm = ones(n), ones(n, 1 / math.sqrt(2 * depth))
        self.ffn_norm, self.post_ffw_norm = ones(n), ones(n, 1 / math.sqrt(2 * depth))
        self.attn_q, self.attn_output = linear(n, heads * dim), linear(heads * dim, n)
        # With scale 1 the norms' weights are what keeps scores small at first.
        self.attn_q_norm = ones(dim, dim**-0.25)
        if own_kv:
            self.attn_k, self.attn_v = linear(n, kv_heads * dim), linear(n, kv_heads * dim)
            self.attn_k_norm = ones(dim, dim**-0.25)
        self.ffn_gate, self.ffn_up, self.ffn_down = linear(n, ff), linear(n, ff), linear(ff, n)

    def forward(self, x, table, mask, kv=None):
        b, t, _ = x.shape
        h = rms(x, self.attn_norm, self.eps)
        q = rope(rms(F.linear(h, self.attn_q).view(b, t, self.heads, self.dim), self.attn_q_norm, self.eps), table)
        if self.own_kv:
            k = F.linear(h, self.attn_k).view(b, t, self.kv_heads, self.dim)
            v = F.linear(h, self.attn_v).view(b, t, self.kv_heads, self.dim)
            kv = rope(rms(k, self.attn_k_norm, self.eps), table), rms(v, None, self.eps)
        h = rms(F.linear(attend(q, *kv, mask), self.attn_output), self.post_attention_norm, self.eps)
        x = x + F.dropout(h, self.dropout, self.training)
        h = rms(x, self.ffn_norm, self.eps)
        h = F.linear(F.gelu(F.linear(h, self.ffn_gate), approximate="tanh") * F.linear(h, self.ffn_up), self.ffn_down)
        return x + F.dropout(rms(h, self.post_ffw_norm, self.eps), self.dropout, self.training), kv


class Target(nn.Module):
    def __init__(self, c=TARGET, dropout=0.0):
        super().__init__()
        self.c, self.dropout = c, dropout
        n, layers = c["embedding_length"], c["block_count"]
        self.first_shared = layers - c["shared_kv_layers"]
        self.token_embd = nn.Parameter(torch.randn(c["vocab_size"], n) / math.sqrt(n))
        self.output_norm = ones(n)
        self.blk = nn.ModuleList(
            Block(n, c["feed_forward_length"], c["head_count"], c["head_count_kv"], c["key_length"], c["eps"],
                  i < self.first_shared, layers, dropout)
            for i in range(layers)
        )

    def sources(self):
        """The layers whose keys and values the last layers, and a draft, read: sliding and full."""
        return self.first_shared - 2, self.first_shared - 1

    def forward(self, ids):
        """Returns the hidden states after the last norm, and what a draft reads of the cache."""
        c, t = self.c, ids.shape[1]
        table = rope_table(t, c["key_length"], c["freq_base"], ids.device)
        sliding = window_mask(t, c["sliding_window"], ids.device)
        x = F.embedding(ids, self.token_embd) * math.sqrt(c["embedding_length"])
        if torch.is_autocast_enabled():
            x = x.to(torch.get_autocast_dtype(ids.device.type))
        x = F.dropout(x, self.dropout, self.training)
        kept = {}
        for i, block in enumerate(self.blk):
            slides = c["sliding_window_pattern"][i]
            x, kv = block(x, table, sliding if slides else None, kept.get(slides))
            if i in self.sources():
                kept[slides] = kv
        return rms(x, self.output_norm, c["eps"]), kept

    def logits(self, hidden):
        cap = self.c["final_logit_softcapping"]
        return cap * torch.tanh(F.linear(hidden, self.token_embd).float() / cap)


class Draft(nn.Module):
    """Guesses tokens from the target's embedding of a token, its hidden state before it, and its cache."""

    def __init__(self, target, c=DRAFT):
        super().__init__()
        t = target.c
        n, self.c, self.tc = c["embedding_length"], c, t
        self.token_embd = nn.Parameter(torch.randn(t["vocab_size"], n) / math.sqrt(n))
        self.output_norm = ones(n)
        self.pre_projection = linear(2 * t["embedding_length"], n)
        self.post_projection = linear(n, t["embedding_length"])
        self.blk = nn.ModuleList(
            Block(n, c["feed_forward_length"], c["head_count"], t["head_count_kv"], t["key_length"], c["eps"], False,
                  c["block_count"])
            for _ in range(c["block_count"])
        )

    def forward(self, embedded, hidden, kept):
        """One step at every position: row i has the token at i+1, the state at i, and stands at position i+1.
        embedded is the target's scaled embedding of the token. Returns logits and the next state."""
        t, c = embedded.shape[1], self.tc
        table = rope_table(t, c["key_length"], c["freq_base"], embedded.device, first=1)
        x = F.linear(torch.cat((embedded, hidden), dim=-1), self.pre_projection)
        for slides, block in zip(self.c["sliding_window_pattern"], self.blk):
            mask = window_mask(t, c["sliding_window"], x.device, ahead=1) if slides else None
            x, _ = block(x, table, mask, kept[slides])
        x = rms(x, self.output_norm, self.c["eps"])
        return F.linear(x, self.token_embd).float(), F.linear(x, self.post_projection)
