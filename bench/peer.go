package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Peer is another program that runs the same tests: llama-bench, or whatever takes its flags and prints its
// JSON. It is started anew for each repetition, between ours, so that both meet the same state of the
// machine; it warms up itself each time, by as many tokens as it measures.
type Peer struct {
	Command []string // the program and its first arguments
	Name    string   // what it is called in records; the command if empty
	Env     []string // "NAME=VALUE", beside the process's own

	NoWarmup bool // it is told to measure its first run, too
}

// String returns the name of the peer.
func (p *Peer) String() string {
	if p.Name != "" {
		return p.Name
	}
	return strings.Join(p.Command, " ")
}

// ErrPeer is what went wrong with a peer. *PeerError matches it.
var ErrPeer = errors.New("the peer failed")

// PeerError says what went wrong with a peer. It matches ErrPeer, and what there is beneath.
type PeerError struct {
	Command string
	Test    string
	Stderr  string // the last line
	Err     error
}

// Error returns one line.
func (e *PeerError) Error() string {
	s := fmt.Sprintf("bench: %s, %s: %v", e.Command, e.Test, e.Err)
	if e.Stderr != "" {
		s += ": " + e.Stderr
	}
	return s
}

// Unwrap returns ErrPeer and the cause.
func (e *PeerError) Unwrap() []error { return []error{ErrPeer, e.Err} }

// PeerRecord is what llama-bench says of a test, as far as it is used here.
type PeerRecord struct {
	BuildCommit string    `json:"build_commit"`
	BuildNumber int       `json:"build_number"`
	Backends    string    `json:"backends"`
	GPUInfo     string    `json:"gpu_info"`
	ModelType   string    `json:"model_type"`
	Threads     int       `json:"n_threads"`
	Prompt      int       `json:"n_prompt"`
	Gen         int       `json:"n_gen"`
	Depth       int       `json:"n_depth"`
	AvgNS       int64     `json:"avg_ns"`
	AvgTS       float64   `json:"avg_ts"`
	SamplesNS   []int64   `json:"samples_ns"`
	SamplesTS   []float64 `json:"samples_ts"`
}

// Build names the peer's version.
func (r *PeerRecord) Build() string {
	if r.BuildNumber == 0 {
		return r.BuildCommit
	}
	return fmt.Sprintf("%s (%d)", r.BuildCommit, r.BuildNumber)
}

// On says what the peer ran on: its backends are those that it has loaded, and not what it used.
func (r *PeerRecord) On() string {
	if r.GPUInfo == "" {
		return "CPU"
	}
	return r.Backends + ", " + r.GPUInfo
}

// ParsePeer reads the JSON of llama-bench: an array, or an object for each line. What stands before it is
// left out.
func ParsePeer(out []byte) ([]PeerRecord, error) {
	at := bytes.IndexAny(out, "[{")
	if at < 0 {
		return nil, errors.New("it printed no JSON")
	}
	out = out[at:]
	dec := json.NewDecoder(bytes.NewReader(out))
	var all []PeerRecord
	for {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			if len(all) > 0 && errors.Is(err, io.EOF) {
				return all, nil
			}
			return nil, fmt.Errorf("its JSON: %w", err)
		}
		if raw[0] == '[' {
			var some []PeerRecord
			if err := json.Unmarshal(raw, &some); err != nil {
				return nil, fmt.Errorf("its JSON: %w", err)
			}
			if all = append(all, some...); len(all) == 0 {
				return nil, errors.New("it printed no record")
			}
			continue
		}
		var r PeerRecord
		if err := json.Unmarshal(raw, &r); err != nil {
			return nil, fmt.Errorf("its JSON: %w", err)
		}
		all = append(all, r)
	}
}

// Args returns the flags that ask llama-bench for so many runs of t, over the model file at path. Without
// Devices the peer runs on the CPU.
func (t Params) Args(path string, runs int) []string {
	args := []string{"-m", path, "-r", fmt.Sprint(runs), "-o", "json"}
	add := func(flag string, v any) { args = append(args, flag, fmt.Sprint(v)) }
	if t.Prompt > 0 && t.Gen > 0 {
		args = append(args, "-p", "0", "-n", "0")
		add("-pg", fmt.Sprintf("%d,%d", t.Prompt, t.Gen))
	} else {
		add("-p", t.Prompt)
		add("-n", t.Gen)
	}
	if t.Depth > 0 {
		add("-d", t.Depth)
	}
	add("-b", t.Batch)
	add("-ub", t.UBatch)
	add("-t", t.Threads)
	add("-ctk", strings.ToLower(t.TypeK.String()))
	add("-ctv", strings.ToLower(t.TypeV.String()))
	if t.TypeV.Quantized() {
		add("-fa", 1) // without it a quantized cache of values is refused
	}
	if t.DeviceLayers >= 0 {
		add("-ngl", t.DeviceLayers)
	}
	add("-dev", peerDevices(t.Devices))
	if t.Overrides != nil {
		add("-ot", strings.Join(t.Overrides, ";"))
	}
	return args
}

// peerDevices returns a list of devices as the peer spells it: it has no device CPU, and runs there where
// there is none. Left to itself it would take every card that it finds, and this library does not.
func peerDevices(names []string) string {
	var others []string
	for _, n := range names {
		if !strings.EqualFold(n, "CPU") {
			others = append(others, n)
		}
	}
	if others == nil {
		return "none"
	}
	return strings.Join(others, "/")
}

// Run has the peer run t so many times. Errors: *PeerError, or that of ctx.
func (p *Peer) Run(ctx context.Context, t Params, runs int, path string) (*PeerRecord, error) {
	fail := func(err error, stderr string) (*PeerRecord, error) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &PeerError{p.String(), t.Test(), stderr, err}
	}
	if len(p.Command) == 0 {
		return fail(exec.ErrNotFound, "")
	}
	args := append(append([]string(nil), p.Command[1:]...), t.Args(path, runs)...)
	if p.NoWarmup {
		args = append(args, "--no-warmup")
	}
	cmd := exec.CommandContext(ctx, p.Command[0], args...)
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(os.Environ(), p.Env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return fail(err, lastLine(stderr.String()))
	}
	all, err := ParsePeer(stdout.Bytes())
	if err != nil {
		return fail(err, "")
	}
	for i := range all {
		r := &all[i]
		if r.Prompt == t.Prompt && r.Gen == t.Gen && r.Depth == t.Depth && len(r.SamplesNS) > 0 {
			return r, nil
		}
	}
	return fail(fmt.Errorf("it ran another test than %s", strconv.Quote(t.Test())), "")
}

// lastLine returns the last line of text that says anything.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// SplitCommand splits a command line at its spaces, but for those in single or double quotes.
//
// Errors: *OptionError for a quote that does not end, or nothing.
func SplitCommand(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quote := false, rune(0)
	for _, c := range line {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ' ' || c == '\t' || c == '\n':
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	if quote != 0 || len(words) == 0 {
		return nil, &OptionError{"a command", strconv.Quote(line), "a program and its arguments"}
	}
	return words, nil
}
