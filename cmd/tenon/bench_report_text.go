package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/bench"
)

// renderReport returns the report in Markdown. It depends on the runs alone.
func renderReport(runs []reportRun) string {
	t := &reportText{}
	t.line("# Benchmarks")
	t.line("")
	t.line("Written by `make benchmarks`, and not by hand. The models are synthetic: `tenon bench model` writes the same files anywhere.")
	t.line("Speeds are tokens a second. With a peer, both programs ran in turns, repetition by repetition, over the same file")
	t.line("and with the same settings, and a ratio is ours over the peer's: the median of the pairs, and in brackets the least")
	t.line("and the greatest. The share of bandwidth is the bytes of weights and cache that a test must read, over time and over")
	t.line("what all threads read from memory when they do nothing else; that of the peak is operations over those of the best")
	t.line("matrix product measured. Both were measured in the same process.")
	t.machine(runs)
	for _, p := range []struct {
		name, title, text string
		rows              func(t *reportText, runs []reportRun)
	}{
		{partTypes, "Prompts and generation", "", (*reportText).speeds},
		{partBatches, "A few tokens at a time", "What a run of so many tokens takes, over what a run of one takes: what checking a draft costs.", (*reportText).batches},
		{partContext, "Time to first token", "From the beginning of a long prompt to the choice of the token after it. The peer's is the time of the prompt alone.", (*reportText).contexts},
		{partAVX2, "With AVX2 alone", "The kernels held to AVX2 by `" + cpu.LevelEnv + "=avx2`, and the peer to its own build for it where one was given.", (*reportText).speeds},
		{partBusy, "With a busy core", "One core is kept busy by another process, which `--busy 1` starts.", (*reportText).speeds},
		{partAlike, "Reproducible", "With `--reproducible` a token's logits have the same bits alone, in any batch and in any chunking of the prompt.", (*reportText).alike},
	} {
		t.part(p.name, p.title, p.text, runs, p.rows)
	}
	return t.String()
}

// reportText is Markdown in the making.
type reportText struct{ strings.Builder }

func (t *reportText) line(format string, args ...any) {
	fmt.Fprintf(t, format+"\n", args...)
}

// row writes a row of a table.
func (t *reportText) row(cells ...string) { t.line("| %s |", strings.Join(cells, " | ")) }

// head writes the head of a table whose first columns are text and whose others are numbers.
func (t *reportText) head(text int, cells ...string) {
	t.row(cells...)
	rules := make([]string, len(cells))
	for i := range rules {
		rules[i] = "---"
		if i >= text {
			rules[i] = "---:"
		}
	}
	t.row(rules...)
}

// machine says where it was measured.
func (t *reportText) machine(runs []reportRun) {
	r := runs[0].Records[0]
	bandwidth, peak, load := 0.0, 0.0, 0.0
	peers := map[string]bool{}
	builds := map[string][]string{} // what each has measured
	first, last := r.Time, r.Time
	for _, run := range runs {
		x := run.Records[0]
		build := fmt.Sprintf("%s, %s, %s", or(x.BuildCommit, "unknown commit"), x.GoVersion, plural(x.Threads, "thread"))
		builds[build] = append(builds[build], run.Part+" "+run.Type)
		for _, x := range run.Records {
			if run.Part == partTypes {
				bandwidth, peak = max(bandwidth, x.Bandwidth), max(peak, x.Peak)
			}
			if run.Part != partBusy {
				load = max(load, x.OtherLoad)
			}
			if len(x.VsSamplesTS) > 0 {
				peers[fmt.Sprintf("%s, build %s, on %s", x.VsCommand, or(x.VsBuild, "unknown"), x.VsBackends)] = true
			}
			if x.Time.Before(first) {
				first = x.Time
			}
			if x.Time.After(last) {
				last = x.Time
			}
		}
	}
	t.line("\n## Where\n")
	t.head(2, "", "")
	t.row("processor", fmt.Sprintf("%s, %s, %s", r.CPUInfo, plural(r.CPUs, "core"), strings.Join(r.Features, ", ")))
	t.row("memory", fmt.Sprintf("%.2f GB/s read by all threads", bandwidth/1e9))
	t.row("best product", fmt.Sprintf("%.1f GFLOP/s", peak/1e9))
	t.row("system", strings.TrimSpace(r.Platform+" "+r.Kernel))
	t.row("governor", or(r.Governor, "not readable"))
	for _, b := range slices.Sorted(maps.Keys(builds)) {
		text := b
		if len(builds) > 1 {
			text += ": " + strings.Join(builds[b], ", ")
		}
		t.row("tenon", text)
	}
	for _, p := range slices.Sorted(maps.Keys(peers)) {
		t.row("peer", p)
	}
	t.row("other load", fmt.Sprintf("up to %.2f cores", load))
	t.row("measured", fmt.Sprintf("%s to %s", first.Format("2006-01-02 15:04"), last.Format("2006-01-02 15:04 MST")))
	if r.EnergyJ == 0 {
		t.row("energy", "not readable")
	}
}

// or returns s, or something instead of nothing.
func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

// part writes one part, if it was measured, and its commands.
func (t *reportText) part(name, title, text string, all []reportRun, rows func(t *reportText, runs []reportRun)) {
	var runs []reportRun
	for _, r := range all {
		if r.Part == name {
			runs = append(runs, r)
		}
	}
	if runs == nil {
		return
	}
	t.line("\n## %s\n", title)
	if text != "" {
		t.line("%s\n", text)
	}
	rows(t, runs)
	t.line("\n```")
	for _, r := range runs {
		t.line("%s", r.Command)
	}
	t.line("```")
}

// ratioText returns a ratio with its ends.
func ratioText(median, least, most float64) string {
	if median <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", median, least, most)
}

func shareText(share float64) string {
	if share <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*share)
}

func speedText(x float64) string {
	if x <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", x)
}

// alike compares each test with the same one that is reproducible.
func (t *reportText) alike(runs []reportRun) {
	t.head(2, "weights", "test", "tenon", "reproducible", "ratio")
	for _, run := range runs {
		for _, r := range run.Records {
			if r.Reproducible {
				continue
			}
			for _, x := range run.Records {
				if x.Reproducible && x.Test() == r.Test() {
					t.row(run.Type, r.Test(), fmt.Sprintf("%.2f ± %.2f", r.AvgTS, r.StdDevTS), fmt.Sprintf("%.2f ± %.2f", x.AvgTS, x.StdDevTS),
						fmt.Sprintf("%.2f", x.AvgTS/r.AvgTS))
				}
			}
		}
	}
}

func (t *reportText) speeds(runs []reportRun) {
	t.head(2, "weights", "test", "size", "tenon", "peer", "ratio", "of bandwidth", "of peak", "memory")
	for _, run := range runs {
		for _, r := range run.Records {
			t.row(run.Type, r.Test(), sizeText(r.ModelSize), fmt.Sprintf("%.2f ± %.2f", r.AvgTS, r.StdDevTS), speedText(r.VsAvgTS),
				ratioText(r.VsRatio, r.VsRatioMin, r.VsRatioMax), shareText(r.BandwidthShare), shareText(r.PeakShare), sizeText(r.MemoryUsed))
		}
	}
}

// medianMS returns the median of times in milliseconds.
func medianMS(ns []int64) float64 {
	v := make([]float64, len(ns))
	for i, n := range ns {
		v[i] = float64(n) / 1e6
	}
	return bench.Median(v)
}

func (t *reportText) batches(runs []reportRun) {
	t.head(1, "weights", "tokens", "tenon, ms", "of one", "peer, ms", "of one", "ratio of speeds")
	for _, run := range runs {
		var one, peerOne float64
		for _, r := range run.Records {
			ms, peer := medianMS(r.SamplesNS), medianMS(r.VsSamplesNS)
			if r.Prompt == 1 {
				one, peerOne = ms, peer
			}
			t.row(run.Type, fmt.Sprint(r.Prompt), speedText(ms), timesText(ms, one), speedText(peer), timesText(peer, peerOne),
				ratioText(r.VsRatio, r.VsRatioMin, r.VsRatioMax))
		}
	}
}

// timesText returns a over b.
func timesText(a, b float64) string {
	if a <= 0 || b <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", a/b)
}

func (t *reportText) contexts(runs []reportRun) {
	t.head(2, "weights", "cache", "tokens", "tenon, s", "peer, s", "ratio of speeds", "memory")
	for _, run := range runs {
		for _, r := range run.Records {
			t.row(run.Type, r.TypeK+"/"+r.TypeV, fmt.Sprint(r.Prompt), speedText(float64(r.TTFT)/1e9), speedText(medianMS(r.VsSamplesNS)/1e3),
				ratioText(r.VsRatio, r.VsRatioMin, r.VsRatioMax), sizeText(r.MemoryUsed))
		}
	}
}
