package bench

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"
)

// cell is one cell of a table.
type cell struct {
	head  string
	right bool // numbers
	least int  // width of the column, at least
	text  string
}

// tableStyle says which cells rows have.
type tableStyle struct {
	varies           map[string]bool // settings that differ between tests, by their column
	prompts, gens    bool
	peer, spec       bool
	differentSources bool
}

// styleOf looks for what differs between tests.
func styleOf(tests []Params) tableStyle {
	s := tableStyle{varies: map[string]bool{}}
	if len(tests) == 0 {
		return s
	}
	first := tests[0]
	differs := func(name string, yes bool) {
		if yes {
			s.varies[name] = true
		}
	}
	for _, p := range tests {
		differs("n_batch", p.Batch != first.Batch)
		differs("n_ubatch", p.UBatch != first.UBatch)
		differs("type_k", p.TypeK != first.TypeK)
		differs("type_v", p.TypeV != first.TypeV)
		differs("reproducible", p.Reproducible != first.Reproducible)
		differs("ngl", p.DeviceLayers != first.DeviceLayers)
		differs("dev", strings.Join(p.Devices, "/") != strings.Join(first.Devices, "/"))
		differs("ot", strings.Join(p.Overrides, ";") != strings.Join(first.Overrides, ";"))
		s.prompts = s.prompts || p.Prompt > 0
		s.gens = s.gens || p.Gen > 0 && !p.Spec
		s.spec = s.spec || p.Spec
		s.differentSources = s.differentSources || p.Model.String() != first.Model.String()
	}
	return s
}

func (r Record) cells(s *tableStyle) []cell {
	model := r.ModelType
	if s.differentSources {
		model = filepath.Base(r.ModelFile)
	}
	all := []cell{
		{"model", false, 24, model},
		{"size", true, 10, sizeText(r.ModelSize)},
		{"params", true, 10, countText(r.ModelParams)},
		{"backend", false, 7, r.Backends},
		{"threads", true, 7, fmt.Sprint(r.Threads)},
	}
	for _, v := range []struct {
		name string
		text string
	}{
		{"n_batch", fmt.Sprint(r.Batch)},
		{"n_ubatch", fmt.Sprint(r.UBatch)},
		{"type_k", r.TypeK},
		{"type_v", r.TypeV},
		{"reproducible", fmt.Sprint(r.Reproducible)},
		{"ngl", fmt.Sprint(r.GPULayers)},
		{"dev", r.Devices},
		{"ot", r.Overrides},
	} {
		if s.varies[v.name] {
			all = append(all, cell{v.name, true, 0, v.text})
		}
	}
	all = append(all,
		cell{"test", true, 15, r.Test()},
		cell{"t/s", true, 18, fmt.Sprintf("%.2f ± %.2f", r.AvgTS, r.StdDevTS)},
		cell{"of bandwidth", true, 12, percent(r.BandwidthShare)},
		cell{"of peak", true, 7, percent(r.PeakShare)},
	)
	if s.prompts {
		all = append(all, cell{"first token", true, 11, durationText(r.TTFT)})
	}
	all = append(all, cell{"memory", true, 10, sizeText(r.MemoryUsed)})
	if s.peer {
		ratio := "-"
		if r.VsRatio > 0 {
			ratio = fmt.Sprintf("%.3f (%.3f to %.3f)", r.VsRatio, r.VsRatioMin, r.VsRatioMax)
		} else if r.VsError != "" {
			ratio = "failed"
		}
		all = append(all, cell{"peer t/s", true, 10, numberOrDash(r.VsAvgTS)}, cell{"ratio", true, 22, ratio})
	}
	if s.spec {
		all = append(all, cell{"speculation", false, 11, r.specText()})
	}
	return all
}

// specText says in a few words what speculation gave.
func (r *Record) specText() string {
	if !r.Spec {
		return ""
	}
	text := fmt.Sprintf("%.2f times (%.2f to %.2f), %.2f tokens a step, accepted", r.SpecSpeedUp, r.SpecSpeedUpMin, r.SpecSpeedUpMax, r.SpecTokensPerStep)
	for _, a := range r.SpecAcceptance {
		text += fmt.Sprintf(" %.0f%%", 100*a)
	}
	if len(r.SpecAcceptance) == 0 {
		text += " nothing"
	}
	if !r.SpecEqual {
		text += ", ANOTHER TEXT"
	}
	return text
}

// markdown writes r as a line of a table, after the head if it is the first.
func (w *Writer) markdown(r Row) {
	cells := r.cells(&w.style)
	if w.rows == 0 {
		w.width = nil
		head, rule := "|", "|"
		for _, c := range cells {
			n := max(c.least, utf8.RuneCountInString(c.head), utf8.RuneCountInString(c.text))
			w.width = append(w.width, n)
			head += " " + pad(c.head, n, c.right) + " |"
			dashes := strings.Repeat("-", n)
			if c.right {
				dashes = dashes[1:] + ":"
			}
			rule += " " + dashes + " |"
		}
		w.print(head + "\n" + rule + "\n")
	}
	line := "|"
	for i, c := range cells {
		line += " " + pad(strings.ReplaceAll(c.text, "|", "\\|"), w.width[i], c.right) + " |"
	}
	w.print(line + "\n")
}

// pad fills s up to n characters.
func pad(s string, n int, right bool) string {
	fill := strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s)))
	if right {
		return fill + s
	}
	return s + fill
}

func percent(share float64) string {
	if share <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*share)
}

func numberOrDash(x float64) string {
	if x <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", x)
}

func durationText(ns int64) string {
	if ns <= 0 {
		return "-"
	}
	d := time.Duration(ns)
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f ms", float64(ns)/1e6)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// sizeText returns a number of bytes for people, such as "1.20 GiB".
func sizeText(bytes int64) string {
	value, unit := float64(bytes)/(1<<20), "MiB"
	if bytes >= 1<<30 {
		value, unit = float64(bytes)/(1<<30), "GiB"
	}
	return fmt.Sprintf("%.2f %s", value, unit)
}

// countText returns a number of weights for people, such as "1.10 B".
func countText(n int64) string {
	if n >= 1e9 {
		return fmt.Sprintf("%.2f B", float64(n)/1e9)
	}
	return fmt.Sprintf("%.2f M", float64(n)/1e6)
}
