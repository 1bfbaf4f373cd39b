package bench_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/tenon-go/tenon/bench"
	"github.com/tenon-go/tenon/bench/synthetic"
)

// A program measures a model of its own, here a small one of random weights, with two sizes of runs.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.gguf")
	shape, err := synthetic.Parse("llama-tiny:Q8_0")
	if err != nil {
		log.Fatal(err)
	}
	if err := synthetic.WriteFile(ctx, path, shape, synthetic.Options{}); err != nil {
		log.Fatal(err)
	}
	records, err := bench.Run(ctx, bench.Options{
		Tests: bench.Matrix{
			Models:  []bench.Source{{Path: path}},
			Prompts: []int{16}, Gens: []int{4}, UBatches: []int{8, 16},
		}.Params(),
		Repetitions: 2,
		NoRoofline:  true, // which takes seconds
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range records {
		fmt.Println(r.ModelType, r.Test(), r.UBatch, len(r.SamplesTS), r.AvgTS > 0)
	}
	fmt.Println(len(bench.Best(records)), "tests")
	// Output:
	// llama 4.20 M Q8_0 pp16 8 2 true
	// llama 4.20 M Q8_0 tg4 8 2 true
	// llama 4.20 M Q8_0 pp16 16 2 true
	// llama 4.20 M Q8_0 tg4 16 2 true
	// 2 tests
}
