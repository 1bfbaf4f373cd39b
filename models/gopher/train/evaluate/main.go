// Evaluate measures gopher on the held-out packages:
//
//	go run ./models/gopher/train/evaluate -goroot $(go env GOROOT) -data DIR
//
// DIR is prepare's folder. It prints bits per byte beside those of a byte bigram and of gzip, how many
// completed function bodies compile, and what the draft's guesses are worth.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/models/gopher"
	"github.com/tenon-go/tenon/sample"
	"github.com/tenon-go/tenon/spec"
	"github.com/tenon-go/tenon/tokenizer"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("evaluate: ")
	data := flag.String("data", "", "folder that prepare has written")
	root := flag.String("goroot", "", "the Go distribution: what 'go env GOROOT' prints")
	tokens := flag.Int("tokens", 60_000, "held-out tokens to measure bits per byte on, from the end")
	bodies := flag.Int("bodies", 100, "function bodies to complete")
	flag.Parse()
	if *data == "" || *root == "" {
		log.Fatal("-data or -goroot is missing")
	}
	if err := run(*data, *root, *tokens, *bodies); err != nil {
		log.Fatal(err)
	}
}

func run(data, root string, tokens, bodies int) error {
	plain, err := tenon.OpenData("gopher", gopher.Target)
	if err != nil {
		return err
	}
	defer plain.Close()
	ids, err := readIDs(filepath.Join(data, "heldout.u16"))
	if err != nil {
		return err
	}
	ids = ids[len(ids)-min(tokens, len(ids)):]
	text, err := plain.Tokenizer().Decode(ids, decodeAll)
	if err != nil {
		return err
	}
	bits, err := modelBits(plain, ids)
	if err != nil {
		return err
	}
	train, err := readIDs(filepath.Join(data, "train.u16"))
	if err != nil {
		return err
	}
	trainText, err := plain.Tokenizer().Decode(train, decodeAll)
	if err != nil {
		return err
	}
	n := float64(len(text))
	fmt.Printf("bits per byte of %d held-out bytes: gopher %.3f, byte bigram %.3f, gzip -9 %.3f\n",
		len(text), bits/n, bigramBits(trainText, text)/n, 8*float64(gzipped(text))/n)
	if err := speculate(plain, ids); err != nil {
		return err
	}
	return compileBodies(plain, root, bodies)
}

func readIDs(path string) ([]int32, error) {
	raw, err := os.ReadFile(path)
	ids := make([]int32, len(raw)/2)
	for i := range ids {
		ids[i] = int32(binary.LittleEndian.Uint16(raw[2*i:]))
	}
	return ids, err
}

// modelBits returns the bits that the model needs for ids: each stretch of half a context is read
// behind the half before it.
func modelBits(m *tenon.Model, ids []int32) (float64, error) {
	e := m.Engine()
	defer e.Cache().Clear() // which Generate finds as it left it
	half := e.Options().Context / 2
	bos, _ := m.Tokenizer().BOS()
	var bits float64
	for at := 0; at < len(ids); at += half {
		e.Cache().Clear()
		from, to := max(0, at-half), min(at+half, len(ids))
		batch := []engine.Token{{ID: bos, Output: at == 0}}
		for i := from; i < to-1; i++ {
			batch = append(batch, engine.Token{ID: ids[i], Pos: int32(i - from + 1), Output: i+1 >= at})
		}
		if err := e.Decode(context.Background(), batch); err != nil {
			return 0, err
		}
		for row := range e.Outputs() {
			bits -= log2Prob(e.Logits(row), ids[at+row])
		}
	}
	return bits, nil
}

func log2Prob(logits []float32, id int32) float64 {
	most := float64(logits[sample.Greedy(logits)])
	var sum float64
	for _, v := range logits {
		sum += math.Exp(float64(v) - most)
	}
	return (float64(logits[id]) - most - math.Log(sum)) / math.Ln2
}

// bigramBits returns the bits of text under the frequencies of byte pairs in train.
func bigramBits(train, text []byte) float64 {
	counts := make([][256]float64, 256)
	for i := 1; i < len(train); i++ {
		counts[train[i-1]][train[i]]++
	}
	var bits float64
	for i := 1; i < len(text); i++ {
		row := &counts[text[i-1]]
		total := 0.0
		for _, c := range row {
			total += c + 0.01
		}
		bits -= math.Log2((row[text[i]] + 0.01) / total)
	}
	return bits
}

func gzipped(text []byte) int {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	w.Write(text)
	w.Close()
	return b.Len()
}

// decodeAll gives every token's text.
var decodeAll = tokenizer.DecodeOptions{}

// speculate completes held-out code with and without the draft, and compares.
func speculate(plain *tenon.Model, ids []int32) error {
	fast, err := tenon.OpenData("gopher", gopher.Target, tenon.WithDraftData("gopher-mtp", gopher.Draft))
	if err != nil {
		return err
	}
	defer fast.Close()
	const prompts, length, generated = 24, 300, 120
	var base, with time.Duration
	var ratios []float64 // of the completions, each beside its other half
	var total spec.Stats
	differ := 0
	for i := range prompts {
		at := i * (len(ids) - length) / prompts
		prompt, err := plain.Tokenizer().Decode(ids[at:at+length], decodeAll)
		if err != nil {
			return err
		}
		a, b := "", ""
		var sa, sb tenon.Stats
		if a, err = complete(plain, string(prompt), generated, &sa); err != nil {
			return err
		}
		if b, err = complete(fast, string(prompt), generated, &sb); err != nil {
			return err
		}
		if a != b {
			differ++
		}
		base, with = base+sa.Generate, with+sb.Generate
		ratios = append(ratios, sa.Generate.Seconds()/sb.Generate.Seconds())
		total.Rounds += sb.Spec.Rounds
		total.Drafted += sb.Spec.Drafted
		total.Accepted += sb.Spec.Accepted
		for i := range sb.Spec.Tried {
			if i == len(total.Tried) {
				total.Tried, total.Right = append(total.Tried, 0), append(total.Right, 0)
			}
			total.Tried[i] += sb.Spec.Tried[i]
			total.Right[i] += sb.Spec.Right[i]
		}
	}
	slices.Sort(ratios)
	fmt.Printf("speculation: %d completions of %d tokens, %d differ; %.2f times as fast, %.2f in the median (%.2f to %.2f)\n",
		prompts, generated, differ, base.Seconds()/with.Seconds(), ratios[prompts/2], ratios[0], ratios[prompts-1])
	fmt.Printf("%.2f tokens a step; acceptance by position:", total.TokensPerStep())
	for i := range total.Tried {
		fmt.Printf(" %.0f %%", 100*total.Acceptance(i))
	}
	fmt.Println()
	return nil
}

func complete(m *tenon.Model, prompt string, n int, stats *tenon.Stats) (string, error) {
	text := ""
	for tok, err := range m.Generate(context.Background(), prompt, tenon.GenerateOptions{MaxTokens: n, IgnoreEOS: true, Stats: stats}) {
		if err != nil {
			return text, err
		}
		text += tok.Text
	}
	return text, nil
}
