package bench

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/tenon-go/tenon/tensor"
)

// Source is where a model comes from: a file, or bytes that are in memory under a name.
type Source struct {
	Path string
	Name string // of Data
	Data []byte // not copied, and not to be changed
}

// String returns the path, or the name.
func (s Source) String() string {
	if s.Data != nil {
		return s.Name
	}
	return s.Path
}

// Params are the settings of one test: a model, how it runs, and how many tokens of what. The names in
// the comments are those of llama-bench's flags, whose meaning they share.
type Params struct {
	Model Source // -m

	Prompt int  // -p, tokens of a prompt, measured
	Gen    int  // -n, tokens one by one after it, measured
	Depth  int  // -d, tokens in the cache before, not measured
	Spec   bool // Gen tokens are generated twice, with and without speculation: see Speculation

	Batch  int // -b, tokens that are handed over at a time; 2048 if 0
	UBatch int // -ub, tokens of one run, at most Batch; 512 if 0

	Threads      int          // -t; GOMAXPROCS if 0
	TypeK, TypeV tensor.DType // -ctk and -ctv
	Reproducible bool         // results do not depend on what is beside them: see engine.Options

	// Devices run the model: -dev. Nil is the preferred one, and the CPU where there is none.
	Devices []string
	// DeviceLayers is how many layers, from the last, run on Devices, and the others on the CPU: -ngl.
	// Below 0 is all.
	DeviceLayers int
	// Overrides place single weights, each as "REGEX=DEVICE": -ot.
	Overrides []string
}

// What llama-bench takes where nothing is given.
const (
	DefaultPrompt      = 512
	DefaultGen         = 128
	DefaultBatch       = 2048
	DefaultUBatch      = 512
	DefaultRepetitions = 5
)

// Test returns the name of the test, as llama-bench prints it: "pp512", "tg128", "pp512+tg128 @ d4096".
func (p Params) Test() string {
	var name string
	switch {
	case p.Spec:
		name = fmt.Sprintf("spec%d", p.Gen)
	case p.Prompt > 0 && p.Gen > 0:
		name = fmt.Sprintf("pp%d+tg%d", p.Prompt, p.Gen)
	case p.Prompt > 0:
		name = fmt.Sprintf("pp%d", p.Prompt)
	default:
		name = fmt.Sprintf("tg%d", p.Gen)
	}
	if p.Depth > 0 {
		name += fmt.Sprintf(" @ d%d", p.Depth)
	}
	return name
}

// String names the test and its model.
func (p Params) String() string { return filepath.Base(p.Model.String()) + " " + p.Test() }

// complete fills in what p leaves open, and reports what cannot be.
func (p Params) complete() (Params, error) {
	set := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	set(&p.Batch, DefaultBatch)
	set(&p.UBatch, DefaultUBatch)
	set(&p.Threads, runtime.GOMAXPROCS(0))
	for _, x := range []struct {
		name         string
		value, least int
	}{
		{"tokens of a prompt (-p)", p.Prompt, 0},
		{"tokens to generate (-n)", p.Gen, 0},
		{"tokens in the cache (-d)", p.Depth, 0},
		{"tokens of a batch (-b)", p.Batch, 1},
		{"tokens of a run (-ub)", p.UBatch, 1},
		{"threads (-t)", p.Threads, 1},
		{"tokens of a test", p.Prompt + p.Gen, 1},
	} {
		if x.value < x.least {
			return p, &OptionError{x.name, x.value, fmt.Sprintf("%d or more", x.least)}
		}
	}
	p.UBatch = min(p.UBatch, p.Batch)
	if p.Model.Path == "" && p.Model.Data == nil {
		return p, &OptionError{"the model (-m)", "absent", "a file"}
	}
	return p, nil
}

// session returns the settings for which a model has to be opened anew, as text.
func (p Params) session() string {
	return strings.Join([]string{
		p.Model.String(), fmt.Sprint(p.UBatch, p.Threads, p.TypeK, p.TypeV, p.Reproducible, p.DeviceLayers),
		strings.Join(p.Devices, "/"), strings.Join(p.Overrides, ";"),
	}, "\n")
}

// tokens returns how many tokens the cache must hold.
func (p Params) tokens() int { return p.Depth + p.Prompt + p.Gen }

// Matrix is a product of settings: every test is run with every combination of the others. An empty list
// stands for the default of Params.
type Matrix struct {
	Models     []Source
	Prompts    []int    // tests of a prompt alone; 0 is none
	Gens       []int    // tests of generation alone; 0 is none
	PromptGens [][2]int // tests of a prompt and generation after it
	Depths     []int
	Spec       bool // a test with speculation after each of generation alone

	Batches, UBatches, Threads, DeviceLayers []int
	TypesK, TypesV                           []tensor.DType
	Reproducible                             []bool
	Devices, Overrides                       [][]string
}

// Params returns the combinations in the order in which llama-bench runs them: models outermost, tests
// innermost.
func (m Matrix) Params() []Params {
	all := []Params{{TypeK: tensor.F16, TypeV: tensor.F16, DeviceLayers: -1}}
	all = vary(all, m.Models, func(p *Params, v Source) { p.Model = v })
	all = vary(all, m.DeviceLayers, func(p *Params, v int) { p.DeviceLayers = v })
	all = vary(all, m.Devices, func(p *Params, v []string) { p.Devices = v })
	all = vary(all, m.Overrides, func(p *Params, v []string) { p.Overrides = v })
	all = vary(all, m.Batches, func(p *Params, v int) { p.Batch = v })
	all = vary(all, m.UBatches, func(p *Params, v int) { p.UBatch = v })
	all = vary(all, m.TypesK, func(p *Params, v tensor.DType) { p.TypeK = v })
	all = vary(all, m.TypesV, func(p *Params, v tensor.DType) { p.TypeV = v })
	all = vary(all, m.Reproducible, func(p *Params, v bool) { p.Reproducible = v })
	all = vary(all, m.Threads, func(p *Params, v int) { p.Threads = v })
	all = vary(all, m.Depths, func(p *Params, v int) { p.Depth = v })
	type test struct {
		prompt, gen int
		spec        bool
	}
	var tests []test
	for _, n := range m.Prompts {
		if n != 0 {
			tests = append(tests, test{prompt: n})
		}
	}
	for _, n := range m.Gens {
		if n != 0 {
			tests = append(tests, test{gen: n})
		}
		if n != 0 && m.Spec {
			tests = append(tests, test{gen: n, spec: true})
		}
	}
	for _, pg := range m.PromptGens {
		if pg != [2]int{} {
			tests = append(tests, test{prompt: pg[0], gen: pg[1]})
		}
	}
	if len(tests) == 0 {
		return nil
	}
	return vary(all, tests, func(p *Params, t test) { p.Prompt, p.Gen, p.Spec = t.prompt, t.gen, t.spec })
}

// vary returns each of all with each of values.
func vary[T any](all []Params, values []T, set func(*Params, T)) []Params {
	if len(values) == 0 {
		return all
	}
	var out []Params
	for _, p := range all {
		for _, v := range values {
			q := p
			set(&q, v)
			out = append(out, q)
		}
	}
	return out
}
