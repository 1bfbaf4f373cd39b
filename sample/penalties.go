package sample

// penalties makes tokens that came before less likely.
type penalties struct {
	repeat, frequency, presence float64
	seen                        *history
}

// edit changes each token of the window once, however often it is there. The count's sign marks what is done.
func (p penalties) edit(logits []float32) {
	h := p.seen
	for _, t := range h.ring[:h.n] {
		n := h.count[t]
		if n < 0 {
			continue
		}
		h.count[t] = -n
		was := float64(logits[t])
		now := float64(was * p.repeat)
		if was > 0 {
			now = was / p.repeat
		}
		now -= float64(float64(n)*p.frequency) + p.presence
		logits[t] = edited(logits[t], now)
	}
	for _, t := range h.ring[:h.n] {
		if h.count[t] < 0 {
			h.count[t] = -h.count[t]
		}
	}
}

// history is the window of the last accepted tokens, and how often each token is in it.
type history struct {
	ring  []int32 // ring[:n] is in use, in any order of age
	start int     // place of the oldest token once the ring is full
	n     int
	count []int32 // by token id
}

func newHistory(window, nVocab int) *history {
	return &history{ring: make([]int32, window), count: make([]int32, nVocab)}
}

func (h *history) push(token int32) {
	if h.n < len(h.ring) {
		h.ring[h.n] = token
		h.n++
	} else {
		h.count[h.ring[h.start]]--
		h.ring[h.start] = token
		h.start = (h.start + 1) % len(h.ring)
	}
	h.count[token]++
}

func (h *history) clear() {
	for _, t := range h.ring[:h.n] {
		h.count[t] = 0
	}
	h.start, h.n = 0, 0
}
