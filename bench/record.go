package bench

import (
	"time"

	"github.com/tenon-go/tenon/engine"
)

// Record is what one test gave. Fields that llama-bench has too have its names and meanings, so that tools
// that read its output read this; times are in nanoseconds and sizes in bytes. What was not measured is 0
// or empty.
type Record struct {
	Manifest

	ModelFile   string `json:"model_filename"`
	ModelType   string `json:"model_type"` // family, size and type of weights, such as "llama 1.10 B Q4_K_M"
	ModelSize   int64  `json:"model_size"` // of the weights
	ModelParams int64  `json:"model_n_params"`

	Batch   int    `json:"n_batch"`
	UBatch  int    `json:"n_ubatch"`
	Threads int    `json:"n_threads"`
	TypeK   string `json:"type_k"`
	TypeV   string `json:"type_v"`

	Reproducible bool `json:"reproducible"`

	GPULayers int    `json:"n_gpu_layers"`
	Devices   string `json:"devices"`
	Overrides string `json:"tensor_buft_overrides"`
	Context   int    `json:"n_ctx"` // tokens that the cache had room for

	Prompt int  `json:"n_prompt"`
	Gen    int  `json:"n_gen"`
	Depth  int  `json:"n_depth"`
	Spec   bool `json:"speculative"`

	Time      time.Time `json:"test_time"` // at the beginning
	AvgNS     int64     `json:"avg_ns"`
	StdDevNS  int64     `json:"stddev_ns"`
	AvgTS     float64   `json:"avg_ts"` // tokens a second
	StdDevTS  float64   `json:"stddev_ts"`
	SamplesNS []int64   `json:"samples_ns"`
	SamplesTS []float64 `json:"samples_ts"`
	Runs      []int     `json:"samples_runs"` // how many runs each is the mean of: see Options.MinTime

	// TTFT is the time to first token: from the beginning of the prompt to the choice of the token after
	// it. The median of the repetitions; 0 for a test without a prompt.
	TTFT   int64 `json:"ttft_ns"`
	LoadNS int64 `json:"load_ns"` // opening the model, before its first test

	MemoryPlanned int64                 `json:"memory_planned"` // what was to be allocated, on all devices
	MemoryUsed    int64                 `json:"memory_used"`    // what was
	Memory        []engine.DeviceMemory `json:"memory"`

	PlanHash    string  `json:"plan_hash"`    // of the plan of the largest run: where each op runs, and what memory it takes
	CopiedBytes int64   `json:"copied_bytes"` // between devices, in one repetition, by the plan of a full cache
	ReadBytes   float64 `json:"read_bytes"`   // weights and cache, in one repetition
	Operations  float64 `json:"operations"`   // of products, in one repetition

	Bandwidth      float64 `json:"bandwidth"` // bytes a second that the device reads when it does nothing else
	BandwidthShare float64 `json:"bandwidth_share"`
	Peak           float64 `json:"peak"` // operations a second of its best product
	PeakShare      float64 `json:"peak_share"`

	EnergyJ       float64  `json:"energy_joules"`  // of the processors and cards that tell, over all repetitions
	EnergyDomains []string `json:"energy_domains"` // which: packages of processors, and devices
	JoulesPerTok  float64  `json:"joules_per_token"`

	// OtherLoad is how many cores other processes used meanwhile, on average.
	OtherLoad float64 `json:"other_load"`

	// Of a comparison in the same run: see Peer. Ratios are of tokens a second, ours over the peer's, of
	// each pair of repetitions.
	VsCommand   string    `json:"vs_command"`
	VsBuild     string    `json:"vs_build"`
	VsBackends  string    `json:"vs_backends"`
	VsModelType string    `json:"vs_model_type"`
	VsAvgTS     float64   `json:"vs_avg_ts"`
	VsSamplesNS []int64   `json:"vs_samples_ns"`
	VsSamplesTS []float64 `json:"vs_samples_ts"`
	VsRatio     float64   `json:"vs_ratio"` // the median
	VsRatioMin  float64   `json:"vs_ratio_min"`
	VsRatioMax  float64   `json:"vs_ratio_max"`
	VsError     string    `json:"vs_error"`

	// Of speculation: see Speculation.
	SpecDrafters      []string  `json:"spec_drafters"`
	SpecAcceptance    []float64 `json:"spec_acceptance"` // by position in the draft
	SpecTokensPerStep float64   `json:"spec_tokens_per_step"`
	SpecPlainTS       []float64 `json:"spec_plain_ts"` // tokens a second without, in turns
	SpecSpeedUp       float64   `json:"spec_speedup"`  // of times, the median of the pairs
	SpecSpeedUpMin    float64   `json:"spec_speedup_min"`
	SpecSpeedUpMax    float64   `json:"spec_speedup_max"`
	SpecEqual         bool      `json:"spec_equal"` // both gave the same tokens, in each repetition
	SpecCopied        float64   `json:"spec_copied_bytes_per_step"`
	SpecFailed        []string  `json:"spec_failed"`
}

// params returns the settings of r, as far as the name of a test goes.
func (r *Record) params() Params {
	return Params{Prompt: r.Prompt, Gen: r.Gen, Depth: r.Depth, Spec: r.Spec}
}

// Test returns the name of the test, such as "pp512 @ d4096".
func (r *Record) Test() string { return r.params().Test() }

// tokens returns how many tokens a repetition is about.
func (r *Record) tokens() int { return r.Prompt + r.Gen }

// add adds the time of a repetition, the mean of so many runs.
func (r *Record) add(d time.Duration, runs int) {
	r.Runs = append(r.Runs, runs)
	r.SamplesNS = append(r.SamplesNS, d.Nanoseconds())
	r.SamplesTS = append(r.SamplesTS, rate(r.tokens(), d.Nanoseconds()))
}

// finish computes what follows from the samples.
func (r *Record) finish() {
	ns := make([]float64, len(r.SamplesNS))
	for i, n := range r.SamplesNS {
		ns[i] = float64(n)
	}
	r.AvgNS, r.StdDevNS = int64(Mean(ns)), int64(StdDev(ns))
	r.AvgTS, r.StdDevTS = Mean(r.SamplesTS), StdDev(r.SamplesTS)
	seconds := Median(ns) / 1e9
	r.BandwidthShare = quotient(quotient(r.ReadBytes, seconds), r.Bandwidth)
	r.PeakShare = quotient(quotient(r.Operations, seconds), r.Peak)
	runs := 0
	for _, n := range r.Runs {
		runs += n
	}
	r.JoulesPerTok = quotient(r.EnergyJ, float64(runs*r.tokens()))
	r.VsAvgTS = Mean(r.VsSamplesTS)
	vs := SpreadOf(ratios(r.SamplesTS, r.VsSamplesTS))
	r.VsRatio, r.VsRatioMin, r.VsRatioMax = vs.Median, vs.Min, vs.Max
	up := SpreadOf(ratios(r.SamplesTS, r.SpecPlainTS))
	r.SpecSpeedUp, r.SpecSpeedUpMin, r.SpecSpeedUpMax = up.Median, up.Min, up.Max
}

// rate returns n things in so many nanoseconds as a number a second.
func rate(n int, ns int64) float64 { return float64(n) / (float64(max(ns, 1)) / 1e9) }

// Best returns of each test, in the order in which they first come, the record with the highest median of
// tokens a second. Records of other models are other tests.
func Best(all []Record) []Record {
	type key struct{ model, test string }
	at := map[key]int{}
	var best []Record
	for _, r := range all {
		if len(r.SamplesTS) == 0 {
			continue
		}
		k := key{r.ModelFile, r.Test()}
		i, ok := at[k]
		switch {
		case !ok:
			at[k] = len(best)
			best = append(best, r)
		case Median(r.SamplesTS) > Median(best[i].SamplesTS):
			best[i] = r
		}
	}
	return best
}
