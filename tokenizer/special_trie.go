package tokenizer

import (
	"slices"
	"strings"
)

// specialTrie finds the special tokens that occur in a text.
type specialTrie struct {
	root  [256]int32 // node of each first byte, 0 for none
	nodes []trieNode // the first is not used
	order []int32    // token ids, the longest text first: that is the order in which llama.cpp looks for them
}

type trieNode struct {
	child, sibling int32 // 0 for none
	rank           int32 // index into order of the token that ends here, or -1
	b              byte
}

// newSpecialTrie holds the tokens that have an attr in mask and none in not.
func (t *Tokenizer) newSpecialTrie(mask, not attr) specialTrie {
	x := specialTrie{nodes: make([]trieNode, 1)}
	for i, a := range t.attrs {
		if a&mask != 0 && a&not == 0 {
			x.order = append(x.order, int32(i))
		}
	}
	slices.SortStableFunc(x.order, func(a, b int32) int { return len(t.texts[b]) - len(t.texts[a]) })
	for rank, id := range x.order {
		x.add(t.texts[id], int32(rank))
	}
	return x
}

func (x *specialTrie) add(text string, rank int32) {
	link := &x.root[text[0]]
	if *link == 0 {
		*link = x.newNode(text[0])
	}
	at := *link
	for i := 1; i < len(text); i++ {
		next := x.step(at, text[i])
		if next == 0 {
			next = x.newNode(text[i])
			x.nodes[next].sibling = x.nodes[at].child
			x.nodes[at].child = next
		}
		at = next
	}
	x.nodes[at].rank = rank
}

func (x *specialTrie) newNode(b byte) int32 {
	x.nodes = append(x.nodes, trieNode{rank: -1, b: b})
	return int32(len(x.nodes) - 1)
}

func (x *specialTrie) step(at int32, b byte) int32 {
	for n := x.nodes[at].child; n != 0; n = x.nodes[n].sibling {
		if x.nodes[n].b == b {
			return n
		}
	}
	return 0
}

// present appends to dst the ranks of the tokens whose text occurs in text, in order.
func (x *specialTrie) present(dst []int32, text string) []int32 {
	if len(x.order) == 0 {
		return dst
	}
	var seen map[int32]bool
	for i := range len(text) {
		at := x.root[text[i]]
		for j := i + 1; at != 0; j++ {
			if rank := x.nodes[at].rank; rank >= 0 && !seen[rank] {
				if seen == nil {
					seen = make(map[int32]bool)
				}
				seen[rank] = true
				dst = append(dst, rank)
			}
			if j == len(text) {
				break
			}
			at = x.step(at, text[j])
		}
	}
	slices.Sort(dst)
	return dst
}

// fragment is a part of a text: a special token, or plain text[lo:hi] if id is none.
type fragment struct {
	lo, hi int
	id     int32
}

// partition cuts text into special tokens and what is between them. As in llama.cpp a longer token is
// found before a shorter one, even where the shorter begins first.
func (t *Tokenizer) partition(sc *scratch, text string, parseSpecial bool) []fragment {
	trie := &t.user
	if parseSpecial {
		trie = &t.all
	}
	parts := append(sc.parts[:0], fragment{0, len(text), none})
	other := sc.otherParts
	sc.ranks = trie.present(sc.ranks[:0], text)
	for _, rank := range sc.ranks {
		id := trie.order[rank]
		other = other[:0]
		for _, f := range parts {
			if f.id != none {
				other = append(other, f)
				continue
			}
			other = cutToken(other, text, f, id, t.texts[id], t.attrs[id])
		}
		parts, other = other, parts
	}
	sc.parts, sc.otherParts = parts, other
	return parts
}

// cutToken appends the plain fragment f to dst, cut at every occurrence of one special token.
func cutToken(dst []fragment, text string, f fragment, id int32, token string, a attr) []fragment {
	for f.lo < f.hi {
		at := strings.Index(text[f.lo:f.hi], token)
		if at < 0 {
			return append(dst, f)
		}
		left := f.lo + at
		right := left + len(token)
		if a&attrLStrip != 0 {
			for left > f.lo && isSpaceByte(text[left-1]) {
				left--
			}
		}
		if a&attrRStrip != 0 {
			for right < f.hi && isSpaceByte(text[right]) {
				right++
			}
		}
		if left > f.lo {
			dst = append(dst, fragment{f.lo, left, none})
		}
		dst = append(dst, fragment{id: id})
		f.lo = right
	}
	return dst
}

// isSpaceByte says whether b is ASCII white space.
func isSpaceByte(b byte) bool { return b == ' ' || '\t' <= b && b <= '\r' }
