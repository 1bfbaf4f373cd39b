package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance/ref"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/internal/testcorpus"
	"github.com/tenon-go/tenon/tensor"
)

// TestIDs checks that every id is there once, prints as one word, and that each chapter has cases.
func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	chapters := map[string]int{}
	plain := regexp.MustCompile(`^[!-~]+$`)
	for _, c := range Cases() {
		if seen[c.ID] {
			t.Errorf("%s is there twice", c.ID)
		}
		seen[c.ID] = true
		chapters[c.Chapter]++
		if !plain.MatchString(c.ID) {
			t.Errorf("%q does not print as one word", c.ID)
		}
		if (c.build == nil) == (c.run == nil) || c.build != nil && (c.Op == "" || c.Type == "") {
			t.Errorf("%s is incomplete", c.ID)
		}
	}
	for _, name := range Chapters() {
		if chapters[name] == 0 && name != ChapterCorpus {
			t.Errorf("chapter %s has no cases", name)
		}
	}
	if !seen["MatMul/a=Q4_K,b=F32,m=16,n=1,k=256"] {
		t.Error("the id that the documentation names is not there")
	}
	t.Logf("%d cases: %v", len(seen), chapters)
}

// TestCasesAreReproducible builds every case of chapter ops twice: the same graph over the same numbers.
// It also checks that each kind of op has cases, and each of its types.
func TestCasesAreReproducible(t *testing.T) {
	t.Parallel()
	kinds := map[tensor.Kind]bool{}
	for i, c := range Cases() {
		if c.build == nil {
			continue
		}
		var first *gen
		for range 2 {
			g := newGen(newRand(c.ID, 0))
			g.dry = i%5 != 0 // the content of every fifth is enough
			out := c.build(g)
			if err := g.Err(); err != nil {
				t.Fatalf("%s: %v", c.ID, err)
			}
			kinds[out.Op.Kind()] = true
			if want := strings.SplitN(c.Op, "/", 2)[0]; out.Op.Kind().String() != want {
				t.Fatalf("%s builds a %v", c.ID, out.Op.Kind())
			}
			if first == nil {
				first = g
				continue
			}
			for i, leaf := range g.leaves {
				if !bytes.Equal(g.data[leaf], first.data[first.leaves[i]]) {
					t.Fatalf("%s: source %d differs the second time", c.ID, i)
				}
			}
		}
	}
	for k := range tensor.NumKinds() {
		switch k := tensor.Kind(k); k {
		case tensor.Reshape{}.Kind(), tensor.View{}.Kind(), tensor.Permute{}.Kind(): // compute nothing
		default:
			if !kinds[k] {
				t.Errorf("%v has no case", k)
			}
		}
	}
}

// TestReferenceDevice runs the suite on the oracle itself. What the cases want must agree with it to the
// bit, but for rounding; that it allocates is known.
func TestReferenceDevice(t *testing.T) {
	t.Parallel()
	report, err := Run(t.Context(), ref.NewDevice("Reference1"), Options{Chapters: []string{
		ChapterOps, ChapterBuffers, ChapterPrograms, ChapterSched, ChapterKV, ChapterConcurrency, ChapterFaults,
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Failures() {
		if r.ID != "programs/no-allocation" {
			t.Errorf("%s: %s", r.ID, r.Reason)
		}
	}
	for _, r := range report.Results {
		if r.Chapter == ChapterOps && r.Status == Pass && r.ULP > 0.5001 {
			t.Errorf("%s: off by %g last places from itself", r.ID, r.ULP)
		}
	}
	t.Log(report.Summary())
}

// TestCorpusReference compares the oracle with another implementation.
func TestCorpusReference(t *testing.T) {
	report, err := Run(t.Context(), ref.NewDevice("Reference1"), Options{Corpus: testcorpus.Dir(t), Chapters: []string{ChapterCorpus}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Failures() {
		t.Errorf("%s: %s", r.ID, r.Reason)
	}
	if report.Count(Pass) == 0 {
		t.Error("no case was run")
	}
	worst := 0.0
	for _, r := range report.Results {
		worst = max(worst, r.NMSE)
	}
	t.Logf("%s; worst NMSE %.3g", report.Summary(), worst)
}

// addOnly is a backend in its first hour: it adds F32, and refuses everything else.
type addOnly struct{ *cpu.Device }

func (d addOnly) Supports(n *tensor.Tensor) error {
	if _, ok := n.Op.(tensor.Add); ok && n.Type == tensor.F32 && n.Src[1].Type == tensor.F32 {
		return nil
	}
	return &backends.UnsupportedError{Device: d.Info().Owner.Device, Node: n.Name, Op: n.Op.Kind(), Reason: "only Add of F32 so far"}
}

func (d addOnly) Compile(g *backends.Subgraph) (backends.Program, error) {
	for _, n := range g.Nodes {
		if err := d.Supports(n); err != nil {
			return nil, err
		}
	}
	return d.Device.Compile(g)
}

// TestFirstHour shows that a backend with one op fails nowhere: what needs more is unsupported.
func TestFirstHour(t *testing.T) {
	t.Parallel()
	dev := addOnly{cpu.New(cpu.Options{})}
	defer dev.Close()
	report, err := Run(t.Context(), dev, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Failures() {
		t.Errorf("%s: %s", r.ID, r.Reason)
	}
	for _, r := range report.Results {
		if strings.HasPrefix(r.ID, "Add/a=F32,b=F32") && r.Status != Pass {
			t.Errorf("%s: %v", r.ID, r.Status)
		}
	}
	if report.Count(Unsupported) < 3000 {
		t.Errorf("only %d cases are unsupported", report.Count(Unsupported))
	}

	s, err := Survey(dev, Options{})
	if err != nil {
		t.Fatal(err)
	}
	full, err := Survey(dev.Device, Options{})
	if err != nil {
		t.Fatal(err)
	}
	lost := s.Lost(full)
	if len(full.Lost(s)) != 0 || len(lost) < 100 || !strings.Contains(strings.Join(lost, "\n"), "MatMul Q4_K") {
		t.Errorf("lost: %q; gained is lost: %q", lost, full.Lost(s))
	}
	var b strings.Builder
	if err := WriteSupport(&b, full, s); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"| op | types | CPU | CPU |\n", "| Clamp | F32 F16 BF16 | yes | no |\n", "| Add | F32 F16 BF16 | yes | without F16 BF16; in part F32 |\n"} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("the table has no line %q:\n%s", line, b.String())
		}
	}
}

func TestReportFormats(t *testing.T) {
	r := &Report{Device: "Vulkan0", Backend: "Vulkan", Description: "a card | with a bar", Results: []Result{
		{ID: "Add/x", Chapter: ChapterOps, Op: "Add", Type: "F32", Status: Pass, NMSE: 1e-9, ULP: 0.5},
		{ID: "Add/y", Chapter: ChapterOps, Op: "Add", Type: "F32", Status: Fail, Reason: "element [1] is 2, want 3"},
		{ID: "MatMul/a=Q4_K", Chapter: ChapterOps, Op: "MatMul", Type: "Q4_K", Status: Unsupported, Reason: "Vulkan0 cannot run MatMul (matmul.0): a is Q4_K"},
		{ID: "large/read-write", Chapter: ChapterLarge, Status: Skipped, Reason: "needs 5 bytes"},
	}}
	r.add(Result{ID: "Add/z", Chapter: ChapterOps, Op: "Add", Status: Fail, ULP: math.Inf(1), NMSE: math.NaN()})
	if r.OK() || len(r.Failures()) != 2 || r.Count(Unsupported) != 1 {
		t.Error("the counts are wrong")
	}
	var md, js bytes.Buffer
	if err := errors.Join(r.WriteMarkdown(&md), r.WriteJSON(&js)); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"| Add | 1 | 2 | 0 | 0 | 1e-09 | 0.5 |\n", "| chapter large | 0 | 0 | 0 | 1 |", "| `Add/y` | element [1] is 2, want 3 |\n",
		"| MatMul: a is Q4_K | 1 | `MatMul/a=Q4_K` |\n", `a card \| with a bar`,
	} {
		if !strings.Contains(md.String(), line) {
			t.Errorf("the report has no %q:\n%s", line, md.String())
		}
	}
	var back Report
	if err := json.Unmarshal(js.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(back.Results, r.Results) || back.Device != r.Device {
		t.Errorf("the report changes on its way through JSON: %+v", back)
	}
}

func TestOptions(t *testing.T) {
	dev := cpu.New(cpu.Options{Threads: 1})
	defer dev.Close()
	for _, o := range []Options{{Chapters: []string{ChapterCorpus}}, {Corpus: "no-such-folder"}, {Chapters: []string{"poetry"}}, {Filter: regexp.MustCompile("^nothing$")}} {
		if _, err := Run(t.Context(), dev, o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v, want ErrOptions", o, err)
		}
	}
	count := 0
	r, err := Run(t.Context(), dev, Options{
		Filter: regexp.MustCompile("^large/"), MaxBytes: 1 << 30, Progress: func(Result) { count++ },
	})
	if err != nil || r.Count(Skipped) != len(r.Results) || count != len(r.Results) {
		t.Errorf("%v, %+v, %d calls of Progress", err, r, count)
	}
	// Another seed gives other numbers, and they are right as well.
	a, err := Run(t.Context(), dev, Options{Filter: regexp.MustCompile("^Div/"), Seed: 12345})
	if err != nil || !a.OK() {
		t.Errorf("%v, %+v", err, a.Failures())
	}
	b, err := Run(t.Context(), dev, Options{Filter: regexp.MustCompile("^Div/")})
	if err != nil || a.Results[0].Seed == b.Results[0].Seed || b.Results[0].Seed != Seed(b.Results[0].ID, 0) {
		t.Error("the seeds are not those of the options")
	}
}

// TestHang shows that a device that does not come back ends the suite, and nothing else.
func TestHang(t *testing.T) {
	m := newMutant()
	release := make(chan struct{})
	defer close(release)
	m.before = func(*mutantProgram) { <-release }
	r, err := Run(t.Context(), m, Options{Filter: regexp.MustCompile("^Sub/"), Timeout: 50 * time.Millisecond})
	if !errors.Is(err, ErrHang) || len(r.Results) != 1 || r.Results[0].Status != Fail {
		t.Errorf("%v, %+v", err, r)
	}
}

// TestNoMemory shows that a device without memory is an error, and one that is full fails with reasons.
func TestNoMemory(t *testing.T) {
	m := newMutant()
	defer m.Close()
	m.types = []buffer.Type{}
	if _, err := Run(t.Context(), m, Options{}); err == nil {
		t.Error("a device without memory was tested")
	}
	dev := cpu.New(cpu.Options{MemoryLimit: 1 << 16})
	defer dev.Close()
	r, err := Run(t.Context(), dev, Options{Filter: regexp.MustCompile("^Add/a=F32,b=F32")})
	if err != nil || r.Count(Fail) != len(r.Results) || !strings.Contains(r.Results[0].Reason, "cannot allocate") {
		t.Errorf("%v, %s", err, r.Summary())
	}
}

func TestPerf(t *testing.T) {
	dev := cpu.New(cpu.Options{})
	defer dev.Close()
	r, err := Perf(t.Context(), dev, PerfOptions{Filter: regexp.MustCompile("^(RMSNorm|TopK|MatMul/a=Q8_0,b=F32,m=4096,n=1,)"), MinTime: time.Millisecond})
	if err != nil || len(r.Results) != 3 {
		t.Fatalf("%v, %+v", err, r)
	}
	for _, x := range r.Results {
		if x.Status != Pass || x.Runs < 3 || x.Micros <= 0 || x.GBs <= 0 || x.MemoryShare > 1 || x.MemoryShare <= 0 {
			t.Errorf("%+v", x)
		}
	}
	if x := r.Results[0]; x.Ops != 2*4096*4096 || x.Bytes != 4096*4096*34/32+2*4*4096 {
		t.Errorf("%d operations, %d bytes", x.Ops, x.Bytes)
	}
	var md, js bytes.Buffer
	if err := errors.Join(r.WriteMarkdown(&md), r.WriteJSON(&js)); err != nil || !strings.Contains(md.String(), "| `TopK/") || !json.Valid(js.Bytes()) {
		t.Errorf("%v: %s", err, md.String())
	}
}

// TestPerfCases builds the graphs of all of them.
func TestPerfCases(t *testing.T) {
	if testing.Short() {
		t.Skip("makes up large tensors")
	}
	dev := cpu.New(cpu.Options{})
	defer dev.Close()
	seen := map[string]bool{}
	for _, c := range perfCases() {
		if seen[c.id] {
			t.Errorf("%s is there twice", c.id)
		}
		seen[c.id] = true
	}
	r, err := Perf(t.Context(), dev, PerfOptions{Filter: regexp.MustCompile("k=(1024|4096|2048),|FlashAttn"), MaxBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Results {
		if x.Status != Skipped {
			t.Errorf("%s: %v %s", x.ID, x.Status, x.Reason)
		}
	}
}
