package kv_test

import (
	"fmt"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/tensor"
)

// A model of two layers, the second with a sliding window of 3 tokens: a prompt is placed, a second
// sequence branches off, and each gets a token of its own.
func Example() {
	mem := buffer.NewHost(buffer.Owner{Backend: "CPU", Device: "CPU"}, 0)
	cache, err := kv.New(kv.Config{
		Cells: 16, MaxSeqs: 2, MaxBatch: 4, Pad: 8,
		TypeK: tensor.F16, TypeV: tensor.F16,
		Layers: []kv.LayerConfig{
			{Layer: 0, HeadsKV: 2, KeyDim: 64, ValueDim: 64, Reuse: -1, Memory: mem},
			{Layer: 1, HeadsKV: 2, KeyDim: 64, ValueDim: 64, Window: 3, Reuse: -1, Memory: mem},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	layer, _ := cache.Layer(1)
	fmt.Println(layer.K)

	place := func(b kv.Batch) *kv.Slots {
		slots, err := cache.Find(b)
		if err == nil {
			err = cache.Apply(slots)
		}
		if err != nil {
			fmt.Println(err)
		}
		return slots
	}
	place(kv.Batch{Pos: []int32{0, 1, 2, 3}, Seq: []int32{0, 0, 0, 0}})
	if err := cache.CopySeq(0, 1, 0, -1); err != nil {
		fmt.Println(err)
	}
	slots := place(kv.Batch{Pos: []int32{4, 4}, Seq: []int32{0, 1}})
	fmt.Println("cells", slots.Indices(layer.Group))

	n := cache.ReadCells(layer.Group)
	mask := make([]float32, n*slots.Tokens())
	if err := cache.FillMask(layer.Group, mask, slots, n); err != nil {
		fmt.Println(err)
	}
	for len(mask) > 0 {
		fmt.Println(mask[:n])
		mask = mask[n:]
	}
	// Output:
	// blk.1.cache_k F16 [128 16]
	// cells [4 5]
	// [-Inf -Inf 0 0 0 -Inf -Inf -Inf]
	// [-Inf -Inf 0 0 -Inf 0 -Inf -Inf]
}
