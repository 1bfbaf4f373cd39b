package tenon_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/sample"
	"github.com/tenon-go/tenon/tensor"
)

// tiny returns the path of a small model with random weights, which stands in for a real one here: what
// it says makes no sense. The function that it returns removes it.
func tiny() (path string, remove func()) {
	dir, err := os.MkdirTemp("", "tenon")
	if err != nil {
		log.Fatal(err)
	}
	path = filepath.Join(dir, "model.gguf")
	if err := tinymodel.WriteFile(path, tinymodel.Config{}); err != nil {
		log.Fatal(err)
	}
	return path, func() { os.RemoveAll(dir) }
}

// A model is opened, continues a prompt, and is closed.
func Example() {
	path, remove := tiny() // any GGUF file
	defer remove()

	m, err := tenon.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	n := 0
	for tok, err := range m.Generate(context.Background(), "Once upon a time", tenon.GenerateOptions{MaxTokens: 20, IgnoreEOS: true}) {
		if err != nil {
			log.Fatal(err)
		}
		_ = tok.Text // would be printed
		n++
	}
	fmt.Println(n, "tokens")
	// Output: 20 tokens
}

// Options choose devices, the size of the context, and what the cache is kept in.
func ExampleOpen() {
	path, remove := tiny()
	defer remove()

	m, err := tenon.Open(path,
		tenon.WithDevices("CPU"),
		tenon.WithThreads(2),
		tenon.WithContext(64),
		tenon.WithCacheTypes(tensor.F32, tensor.F32),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	p := m.Params()
	fmt.Println(p.Arch, p.Layers, "layers,", p.Parameters, "weights")
	for _, d := range m.Memory() {
		fmt.Println(d.Device, "cache", d.Cache, "bytes")
	}
	// Output:
	// llama 2 layers, 102720 weights
	// CPU cache 32768 bytes
}

// Sampling with a seed gives the same text each time; statistics tell how it went.
func ExampleModel_Generate() {
	path, remove := tiny()
	defer remove()
	m, err := tenon.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	var stats tenon.Stats
	write := func() (text string) {
		opt := tenon.GenerateOptions{
			MaxTokens: 30,
			IgnoreEOS: true,
			Sampling:  sample.Params{Temperature: 0.8, TopP: 0.95, Seed: 42},
			Stats:     &stats,
		}
		for tok, err := range m.Generate(context.Background(), "The thing", opt) {
			if err != nil {
				log.Fatal(err)
			}
			text += tok.Text
		}
		return text
	}
	first, second := write(), write()
	fmt.Println("the same text:", first == second)
	fmt.Println(stats.Tokens, "tokens, ended by", stats.Finish)
	// Output:
	// the same text: true
	// 30 tokens, ended by length
}

// A text stops soon after its context is cancelled. Leaving the loop by break does as well.
func ExampleModel_Generate_cancel() {
	path, remove := tiny()
	defer remove()
	m, err := tenon.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	n := 0
	for _, err := range m.Generate(ctx, "Once upon a time", tenon.GenerateOptions{IgnoreEOS: true}) {
		if err != nil {
			fmt.Println("cancelled:", errors.Is(err, context.Canceled))
			continue
		}
		if n++; n == 3 {
			cancel()
		}
	}
	fmt.Println(n, "tokens")
	// Output:
	// cancelled: true
	// 3 tokens
}

// Errors carry what was found and what was wanted, and match what errors.Is asks for.
func ExampleModel_Generate_errors() {
	path, remove := tiny()
	defer remove()
	m, err := tenon.Open(path, tenon.WithContext(8))
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	for _, err := range m.Generate(context.Background(), "A prompt that is too long", tenon.GenerateOptions{}) {
		fmt.Println(errors.Is(err, kv.ErrFull), err)
	}
	// Output: true kv: no room for 25 tokens: 8 of 8 cells are free
}

// Embeddings of equal length can be compared by their dot product.
func ExampleModel_Embed() {
	path, remove := tiny()
	defer remove()
	m, err := tenon.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	embed := func(text string) []float32 {
		v, err := m.Embed(context.Background(), text)
		if err != nil {
			log.Fatal(err)
		}
		return v
	}
	a, b := embed("the same"), embed("the same")
	dot := float32(0)
	for i := range a {
		dot += a[i] * b[i]
	}
	fmt.Printf("%d numbers, %.3f alike\n", len(a), dot)
	// Output: 64 numbers, 1.000 alike
}

// The engine gives the logits of any tokens, in any sequences.
func ExampleModel_Engine() {
	path, remove := tiny()
	defer remove()
	m, err := tenon.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	e := m.Engine()
	batch := []engine.Token{
		{ID: 1, Pos: 0},
		{ID: 270, Pos: 1},
		{ID: 261, Pos: 2, Output: true},
	}
	if err := e.Decode(context.Background(), batch); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(e.Logits(0)), "logits after token", e.Outputs()[0])
	// Output: 320 logits after token 2
}
