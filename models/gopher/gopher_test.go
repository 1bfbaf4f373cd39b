package gopher_test

import (
	"context"
	"fmt"
	"go/parser"
	"go/token"
	"strings"
	"sync"
	"testing"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/models/gopher"
	"github.com/tenon-go/tenon/sample"
	"github.com/tenon-go/tenon/tensor"
)

var prompts = []string{
	"func (b *Buffer) WriteString(",
	"package main\n\nimport (\n",
	"// Copyright 2009 The Go Authors.",
	"func TestParse(t *testing.T) {\n",
}

func open(t *testing.T, options ...tenon.Option) *tenon.Model {
	t.Helper()
	m, err := tenon.OpenData("gopher", gopher.Target, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func complete(t *testing.T, m *tenon.Model, prompt string, opt tenon.GenerateOptions) string {
	t.Helper()
	text := ""
	for tok, err := range m.Generate(context.Background(), prompt, opt) {
		if err != nil {
			t.Fatal(err)
		}
		text += tok.Text
	}
	return text
}

// TestGreedy: what the README shows, and Go that parses.
func TestGreedy(t *testing.T) {
	m := open(t)
	got := complete(t, m, prompts[0], tenon.GenerateOptions{MaxTokens: 60, Stop: []string{"\n}"}})
	const want = "str string) (int, error) {\n\tif b.err != nil {\n\t\treturn 0, b.err\n\t}\n\treturn b.w.Write(str)"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+prompts[0]+got+"\n}\n", 0); err != nil {
		t.Error(err)
	}
}

// TestSpeculation: the draft changes no token, greedily or drawn, and its guesses are worth something.
func TestSpeculation(t *testing.T) {
	plain := open(t)
	// Fixed, as a busy machine's clock would otherwise decide how much is guessed.
	fast := open(t, tenon.WithDraftData("gopher-mtp", gopher.Draft), tenon.WithSpec(tenon.SpecOptions{Fixed: true}))
	drafted, right := 0, 0
	for _, p := range prompts {
		for _, sampling := range []sample.Params{{}, {Temperature: 0.8, TopK: 40, Seed: 7}} {
			var stats tenon.Stats
			opt := tenon.GenerateOptions{MaxTokens: 40, Sampling: sampling}
			want := complete(t, plain, p, opt)
			opt.Stats = &stats
			if got := complete(t, fast, p, opt); got != want {
				t.Errorf("%q at temperature %g: %q, without the draft %q", p, sampling.Temperature, got, want)
			}
			if sampling.Temperature == 0 {
				drafted, right = drafted+stats.Spec.Drafted, right+stats.Spec.Accepted
			}
		}
	}
	t.Logf("%d of %d guesses right", right, drafted)
	if right*2 < drafted {
		t.Errorf("%d of %d guesses right, want half", right, drafted)
	}
}

// TestSequences: several texts at a time are the texts that each is alone.
func TestSequences(t *testing.T) {
	m := open(t, tenon.WithSequences(len(prompts)), tenon.WithContext(512), tenon.WithCacheTypes(tensor.Q8_0, tensor.Q8_0))
	opt := tenon.GenerateOptions{MaxTokens: 24}
	var alone [4]string
	for i, p := range prompts {
		alone[i] = complete(t, m, p, opt)
	}
	var all sync.WaitGroup
	for i, p := range prompts {
		all.Go(func() {
			text := strings.Builder{}
			for tok, err := range m.Generate(context.Background(), p, opt) {
				if err != nil {
					t.Error(err)
					return
				}
				fmt.Fprint(&text, tok.Text)
			}
			if text.String() != alone[i] {
				t.Errorf("%q beside others: %q, alone %q", p, text.String(), alone[i])
			}
		})
	}
	all.Wait()
}
