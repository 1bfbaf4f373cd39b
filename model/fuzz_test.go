package model_test

import (
	"testing"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/model"
)

// FuzzOpen opens changed models: each triple of data replaces a byte of the header, at a place of two
// bytes. Whatever opens must have a graph, or say why not.
func FuzzOpen(f *testing.F) {
	models := [][]byte{
		tinymodel.Bytes(f, tinymodel.Config{Vocab: 260, Embd: 8, Heads: 2, KVHeads: 1, FeedForward: 8, Layers: 1, Biases: true}),
		tinymodel.Bytes(f, tinymodel.Config{Arch: "qwen3moe", Vocab: 260, Embd: 8, Heads: 2, KVHeads: 1, FeedForward: 8, Layers: 1, Experts: 2}),
	}
	f.Add(byte(0), []byte{})
	f.Add(byte(1), []byte{8, 0, 200, 16, 0, 1, 24, 0, 255})
	f.Fuzz(func(t *testing.T, which byte, edits []byte) {
		data := append([]byte(nil), models[int(which)%len(models)]...)
		for ; len(edits) >= 3; edits = edits[3:] {
			data[(int(edits[0])|int(edits[1])<<8)%len(data)] = edits[2]
		}
		file, err := gguf.Parse(data, "fuzz")
		if err != nil {
			return
		}
		m, err := model.Open(file)
		if err != nil {
			return
		}
		cache, err := newCache(m, 8)
		if err != nil {
			return
		}
		defer cache.Close()
		for _, outputs := range []int{0, 1, 3} {
			g, err := m.Graph(shape(cache, 3, outputs), cache)
			if err != nil {
				return
			}
			if err := g.Graph.Verify(); err != nil {
				t.Error(err)
			}
		}
		if _, err := m.ShiftGraph(0, cache); err != nil {
			t.Error(err)
		}
	})
}
