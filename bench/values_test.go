package bench

import (
	"errors"
	"reflect"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

func TestParseInts(t *testing.T) {
	for _, c := range []struct {
		list string
		want []int
	}{
		{"512", []int{512}},
		{"-1", []int{-1}},
		{"0,128, 512", []int{0, 128, 512}},
		{"1-4", []int{1, 2, 3, 4}},
		{"2-10+4", []int{2, 6, 10}},
		{"1-8*2", []int{1, 2, 4, 8}},
		{"3-10*3", []int{3, 9}},
		{"128-512+128,7", []int{128, 256, 384, 512, 7}},
		{"5-5", []int{5}},
		{"-2-1", []int{-2, -1, 0, 1}},
		{"9223372036854775800-9223372036854775807+100", []int{9223372036854775800}},
		{"4611686018427387904-9223372036854775807*2", []int{4611686018427387904}},
	} {
		if got, err := ParseInts("-p", c.list); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v; want %v", c.list, got, err, c.want)
		}
	}
	for _, bad := range []string{"", ",", "a", "1,", "1-", "4-1", "1-4+", "1-4+0", "1-4*1", "1-4*0", "0-4*2", "1-4+2*3", "1-1000000", "1--4", "- 1", "1e3", "99999999999999999999"} {
		var e *OptionError
		if got, err := ParseInts("-p", bad); !errors.As(err, &e) || !errors.Is(err, ErrOption) || e.Name != "-p" {
			t.Errorf("%q: %v, %v; want an *OptionError", bad, got, err)
		}
	}
}

func FuzzParseInts(f *testing.F) {
	for _, s := range []string{"1-8*2", "128-512+128", "-1", "1,2,3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		got, err := ParseInts("-p", list)
		if err == nil && (len(got) == 0 || len(got) > maxValues) {
			t.Errorf("%q: %d values", list, len(got))
		}
	})
}

func TestParsePair(t *testing.T) {
	if got, err := ParsePair("-pg", "512,128"); err != nil || got != [2]int{512, 128} {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "512", "1,2,3", "a,1", "-1,2", "1,-2"} {
		if got, err := ParsePair("-pg", bad); !errors.Is(err, ErrOption) {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
}

// The order is that of llama-bench: tests innermost, models outermost; tests of no tokens are none.
func TestMatrix(t *testing.T) {
	m := Matrix{
		Models:  []Source{{Path: "a"}, {Path: "b"}},
		Prompts: []int{0, 16}, Gens: []int{4, 0}, PromptGens: [][2]int{{8, 2}, {0, 0}},
		Depths: []int{0, 32}, Threads: []int{1, 2}, TypesK: []tensor.DType{tensor.Q8_0},
	}
	all := m.Params()
	if want := 2 * 2 * 2 * 3; len(all) != want {
		t.Fatalf("%d tests, want %d", len(all), want)
	}
	var names []string
	for _, p := range all[:6] {
		names = append(names, p.String())
	}
	if want := []string{"a pp16", "a tg4", "a pp8+tg2", "a pp16 @ d32", "a tg4 @ d32", "a pp8+tg2 @ d32"}; !reflect.DeepEqual(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	if p := all[6]; p.Threads != 2 || p.Model.Path != "a" || p.TypeK != tensor.Q8_0 || p.TypeV != tensor.F16 || p.DeviceLayers != -1 {
		t.Errorf("%+v", p)
	}
	if p := all[12]; p.Model.Path != "b" || p.Threads != 1 {
		t.Errorf("%+v", p)
	}
	m.Spec = true
	spec := 0
	for _, p := range m.Params() {
		if p.Spec {
			spec++
			if p.Gen != 4 || p.Prompt != 0 {
				t.Errorf("%s speculates", p)
			}
		}
	}
	if spec != 8 {
		t.Errorf("%d tests with speculation, want 8", spec)
	}
	if all := (Matrix{Models: m.Models, Prompts: []int{0}}).Params(); all != nil {
		t.Errorf("%v out of no tests", all)
	}
	// A change of one combination must not show in another.
	seen := map[string]bool{}
	for _, p := range (Matrix{Gens: []int{1}, Batches: []int{1, 2}, UBatches: []int{3, 4}, TypesV: []tensor.DType{tensor.F16, tensor.F32}, Devices: [][]string{{"A"}, {"A", "B"}}}).Params() {
		seen[p.session()+p.Test()+string(rune(p.Batch))] = true
	}
	if len(seen) != 16 {
		t.Errorf("%d different tests, want 16", len(seen))
	}
}

func TestComplete(t *testing.T) {
	p, err := Params{Model: Source{Path: "m"}, Prompt: 8, Batch: 64}.complete()
	if err != nil || p.UBatch != 64 || p.Threads < 1 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []Params{
		{Prompt: 8},
		{Model: Source{Path: "m"}},
		{Model: Source{Path: "m"}, Prompt: -1, Gen: 4},
		{Model: Source{Path: "m"}, Prompt: 4, Batch: -1},
		{Model: Source{Path: "m"}, Prompt: 4, Depth: -1},
		{Model: Source{Path: "m"}, Prompt: 4, Threads: -1},
	} {
		if _, err := bad.complete(); !errors.Is(err, ErrOption) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestStats(t *testing.T) {
	for _, c := range []struct {
		v                []float64
		median, mean, sd float64
		spread           Spread
	}{
		{nil, 0, 0, 0, Spread{}},
		{[]float64{3}, 3, 3, 0, Spread{3, 3, 3}},
		{[]float64{4, 1, 2}, 2, 7.0 / 3, 1.5275252316519468, Spread{2, 1, 4}},
		{[]float64{4, 1, 2, 3}, 2.5, 2.5, 1.2909944487358056, Spread{2.5, 1, 4}},
	} {
		if got := Median(c.v); got != c.median {
			t.Errorf("median of %v: %g, want %g", c.v, got, c.median)
		}
		if got := Mean(c.v); got != c.mean {
			t.Errorf("mean of %v: %g, want %g", c.v, got, c.mean)
		}
		if got := StdDev(c.v); got-c.sd > 1e-15 || c.sd-got > 1e-15 {
			t.Errorf("standard deviation of %v: %g, want %g", c.v, got, c.sd)
		}
		if got := SpreadOf(c.v); got != c.spread {
			t.Errorf("spread of %v: %v, want %v", c.v, got, c.spread)
		}
	}
	if got := ratios([]float64{4, 9, 5}, []float64{2, 0}); !reflect.DeepEqual(got, []float64{2}) {
		t.Errorf("ratios: %v, want [2]", got)
	}
}

func TestSplitCommand(t *testing.T) {
	got, err := SplitCommand(`  env A='b c' "/some where/bench" -x ""`)
	if want := []string{"env", "A=b c", "/some where/bench", "-x", ""}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	for _, bad := range []string{"", "  ", "a 'b", `a "`} {
		if got, err := SplitCommand(bad); !errors.Is(err, ErrOption) {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
}
