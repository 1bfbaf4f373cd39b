package bench

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/tensor"
)

// fullRecord has something in every field, so that one that a format forgets is noticed.
func fullRecord(t *testing.T) Record {
	t.Helper()
	var r Record
	n := 0
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		n++
		switch v.Kind() {
		case reflect.String:
			v.SetString(fmt.Sprintf("text %d, \"quoted\", it's | a\tpipe", n))
		case reflect.Int, reflect.Int64:
			v.SetInt(int64(n) << 33)
		case reflect.Float64:
			v.SetFloat(float64(n) / 7)
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			fill(v.Index(0))
			fill(v.Index(1))
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[time.Time]() {
				v.Set(reflect.ValueOf(time.Date(2026, 11, 29, 20, 5, 7, 0, time.UTC)))
				return
			}
			for i := range v.NumField() {
				fill(v.Field(i))
			}
		default:
			t.Fatalf("no value for %v", v.Type())
		}
	}
	fill(reflect.ValueOf(&r).Elem())
	return r
}

func write(t *testing.T, format string, tests []Params, records ...Record) string {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, format, tests)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(Record{}); err == nil {
		t.Errorf("%s: written after Close", format)
	}
	return b.String()
}

func TestRoundTrip(t *testing.T) {
	full := fullRecord(t)
	records := []Record{full, {Time: full.Time, SamplesNS: []int64{1}}, full}
	for format, read := range map[string]func(s string) ([]Record, error){
		"json":  func(s string) ([]Record, error) { return ReadJSON(strings.NewReader(s)) },
		"jsonl": func(s string) ([]Record, error) { return ReadJSON(strings.NewReader(s)) },
		"csv":   func(s string) ([]Record, error) { return ReadCSV(strings.NewReader(s)) },
		"sql":   readSQL,
	} {
		got, err := read(write(t, format, nil, records...))
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		if !reflect.DeepEqual(got, records) {
			t.Errorf("%s: comes back as\n%+v\nwant\n%+v", format, got, records)
		}
		if got, err := read(write(t, format, nil)); err != nil || len(got) != 0 {
			t.Errorf("%s: nothing comes back as %v, %v", format, got, err)
		}
	}
	if n := strings.Count(write(t, "jsonl", nil, records...), "\n"); n != 3 {
		t.Errorf("jsonl: %d lines, want 3", n)
	}
}

// readSQL reads what the SQL writer writes, by the names in its INSERT statements.
func readSQL(s string) ([]Record, error) {
	known := map[string]column{}
	for _, c := range columnsOf(reflect.TypeFor[Record]()) {
		known[c.name] = c
	}
	insert := regexp.MustCompile(`(?m)^INSERT INTO tenon_bench \((.*?)\) VALUES \((.*)\);$`)
	if strings.Count(s, "CREATE TABLE") > 1 {
		return nil, fmt.Errorf("more than one table")
	}
	var all []Record
	for _, m := range insert.FindAllStringSubmatch(s, -1) {
		in := csv.NewReader(strings.NewReader(strings.ReplaceAll(sqlQuotes(m[2]), ", ", ",")))
		values, err := in.Read()
		if err != nil {
			return nil, err
		}
		var r Record
		for i, name := range strings.Split(m[1], ", ") {
			if !strings.Contains(s, "\n  "+name+" "+known[name].sqlType()) {
				return nil, fmt.Errorf("no column %s in the table", name)
			}
			if err := known[name].set(reflect.ValueOf(&r).Elem(), strings.ReplaceAll(values[i], "\x00", ", ")); err != nil {
				return nil, err
			}
		}
		all = append(all, r)
	}
	return all, nil
}

// sqlQuotes turns SQL's quotes into those of CSV; commas inside become zeros.
func sqlQuotes(s string) string {
	var b strings.Builder
	inside := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'' && inside && i+1 < len(s) && s[i+1] == '\'':
			b.WriteByte('\'')
			i++
		case s[i] == '\'':
			inside = !inside
			b.WriteByte('"')
		case s[i] == '"':
			b.WriteString(`""`)
		case inside && strings.HasPrefix(s[i:], ", "):
			b.WriteByte(0)
			i++
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// Names that tools which read llama-bench's output look for.
func TestLlamaBenchNames(t *testing.T) {
	names := map[string]bool{}
	for _, c := range columnsOf(reflect.TypeFor[Record]()) {
		if names[c.name] {
			t.Errorf("two columns %s", c.name)
		}
		names[c.name] = true
	}
	for _, want := range strings.Fields(`build_commit cpu_info gpu_info backends model_filename model_type model_size model_n_params n_batch n_ubatch
		n_threads type_k type_v n_gpu_layers devices tensor_buft_overrides n_prompt n_gen n_depth test_time avg_ns stddev_ns avg_ts stddev_ts
		samples_ns samples_ts`) {
		if !names[want] {
			t.Errorf("no column %s", want)
		}
	}
}

func TestMarkdown(t *testing.T) {
	tests := []Params{{Prompt: 8, TypeK: tensor.F16}, {Gen: 4, TypeK: tensor.Q8_0}}
	r := Record{
		ModelType: "llama | 1 B", ModelSize: 3 << 30, ModelParams: 1_100_000_000, Threads: 2, TypeK: "f16", Prompt: 8, AvgTS: 12.345, StdDevTS: 0.5,
		BandwidthShare: 0.25, TTFT: 1_500_000, Memory: []engine.DeviceMemory{}, VsAvgTS: 24,
	}
	slow := r
	slow.ModelType, slow.TTFT, slow.Prompt, slow.Gen, slow.Depth = "x", 0, 0, 4, 100
	got := write(t, "md", tests, r, slow)
	lines := strings.Split(strings.TrimSpace(got), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines:\n%s", len(lines), got)
	}
	for i, l := range lines {
		if n := strings.Count(strings.ReplaceAll(l, `\|`, ""), "|"); n != 13 {
			t.Errorf("line %d has %d bars, want 13: %s", i, n, l)
		}
	}
	for _, want := range []string{"| type_k |", `llama \| 1 B`, "| 3.00 GiB |", "|     1.10 B |", "| 25.0 % |", "1.5 ms |", "12.35 ± 0.50 |", "| tg4 @ d100 |", "|           pp8 |", "-: |"} {
		if !strings.Contains(strings.Join(strings.Fields(got), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "peer") || strings.Contains(got, "n_batch") {
		t.Errorf("columns of what does not vary:\n%s", got)
	}
	if _, err := NewWriter(nil, "xml", nil); err == nil {
		t.Error("a format xml")
	}
}

func TestGoBench(t *testing.T) {
	r := Record{ModelType: "llama 1 B Q4_K - M", Prompt: 8, Threads: 3, SamplesNS: []int64{2000, 1000}, SamplesTS: []float64{4e6, 8e6}, TTFT: 3000}
	r.Platform, r.CPUInfo, r.BuildCommit = "linux/amd64", "A\nCPU", "abc"
	got := write(t, "go", nil, r, r)
	for _, want := range []string{
		"goos: linux\ngoarch: amd64\n", "cpu: A CPU\n", "commit: abc\n",
		"BenchmarkModel/model=llama_1_B_Q4_K___M/test=pp8/depth=0/", "-3 1 2000 ns/op 4e+06 tok/s 3000 ttft-ns/op\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\nBenchmark"); n != 4 {
		t.Errorf("%d lines of results, want 4", n)
	}
	if n := strings.Count(got, "goos:"); n != 1 {
		t.Errorf("labels that did not change are written %d times", n)
	}
}

func TestBest(t *testing.T) {
	all := []Record{
		{ModelFile: "a", Prompt: 8, Threads: 1, SamplesTS: []float64{1, 9, 2}},
		{ModelFile: "a", Gen: 4, Threads: 1, SamplesTS: []float64{5}},
		{ModelFile: "a", Prompt: 8, Threads: 2, SamplesTS: []float64{3, 3, 3}},
		{ModelFile: "b", Prompt: 8, Threads: 2, SamplesTS: []float64{1}},
		{ModelFile: "a", Gen: 4, Threads: 2},
	}
	var got []string
	for _, r := range Best(all) {
		got = append(got, fmt.Sprint(r.ModelFile, " ", r.Test(), " ", r.Threads))
	}
	if want := []string{"a pp8 2", "a tg4 1", "b pp8 2"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
