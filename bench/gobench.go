package bench

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// The format of Go's benchmarks: lines of labels, then a line for each repetition, with a name, a number of
// iterations and values with units. Source: golang.org/design/14313-benchmark-format.

func (r Record) labels() []string {
	return append(r.Manifest.goLabels(),
		"model: "+oneLine(r.ModelType),
		"file: "+oneLine(filepath.Base(r.ModelFile)),
		"plan: "+r.PlanHash,
	)
}

// goLabels returns the manifest as labels.
func (m *Manifest) goLabels() []string {
	goos, goarch, _ := strings.Cut(m.Platform, "/")
	return []string{
		"goos: " + goos, "goarch: " + goarch, "pkg: github.com/tenon-go/tenon/bench", "cpu: " + oneLine(m.CPUInfo),
		"commit: " + oneLine(m.BuildCommit), "go: " + oneLine(m.GoVersion), "level: " + oneLine(m.CPULevel),
		"features: " + oneLine(strings.Join(m.Features, " ")),
		"driver: " + oneLine(m.Driver), "kernel: " + oneLine(m.Kernel), "governor: " + oneLine(m.Governor),
	}
}

// oneLine returns s without line ends, which would end a label.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func (r Record) goBench(b []byte) []byte {
	name := "BenchmarkModel/model=" + benchName(r.ModelType) + "/test=" + benchName(r.testKind())
	for _, p := range []struct {
		key   string
		value any
	}{
		{"depth", r.Depth}, {"batch", r.Batch}, {"ubatch", r.UBatch}, {"k", r.TypeK}, {"v", r.TypeV}, {"dev", r.Devices}, {"ngl", r.GPULayers}, {"busy", r.Busy},
	} {
		name += "/" + p.key + "=" + benchName(fmt.Sprint(p.value))
	}
	name += "-" + strconv.Itoa(max(r.Threads, 1))
	for i, ns := range r.SamplesNS {
		b = fmt.Appendf(b, "%s 1 %d ns/op %.6g tok/s", name, ns, r.SamplesTS[i])
		if r.TTFT > 0 {
			b = fmt.Appendf(b, " %d ttft-ns/op", r.TTFT)
		}
		if i < len(r.VsSamplesTS) {
			b = fmt.Appendf(b, " %.6g peer-tok/s", r.VsSamplesTS[i])
		}
		if r.JoulesPerTok > 0 {
			b = fmt.Appendf(b, " %.6g J/tok", r.JoulesPerTok)
		}
		b = append(b, '\n')
	}
	return b
}

// testKind is Test without the depth, which has a key of its own.
func (r *Record) testKind() string {
	p := r.params()
	p.Depth = 0
	return p.Test()
}

// benchName returns s as a part of a benchmark's name: no spaces, and none of the characters that mean
// something there.
func benchName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '/' || r == '=' || r == '-':
			return '_'
		case unicode.IsSpace(r) || !unicode.IsPrint(r):
			return '_'
		}
		return r
	}, s)
}
