package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon/bench/synthetic"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/mmap"
)

// modelWritten is what `tenon bench model --json` prints.
type modelWritten struct {
	Model      string  `json:"model"`
	File       string  `json:"file"`
	Parameters int64   `json:"parameters"`
	Bytes      int64   `json:"bytes"` // of the weights
	Seconds    float64 `json:"seconds"`
}

func (a *app) benchModelCommand() *cobra.Command {
	var threads int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "model MODEL FILE",
		Short: "Write a model of random weights, for benchmarks",
		Long: `Write a model of random weights in any shape and type, which this and other programs can load: what it says is
noise, and what it costs is what a trained model of its shape and type costs.

MODEL is ` + synthetic.Usage + `.

Shapes: ` + strings.Join(synthetic.Shapes(), " ") + `
Types:  ` + strings.Join(synthetic.Types(), " "),
		Example: `  tenon bench model llama-1b:Q4_K_M llama-1b-q4_k_m.gguf
  tenon bench model llama:embd=1024,layers=8:Q8_0 small.gguf`,
		Args: wantArgs("MODEL", "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := synthetic.Parse(args[0])
			if err != nil {
				return &usageError{err}
			}
			if threads < 0 {
				return usagef("--threads is %d, want 0 or more", threads)
			}
			return interruptible(cmd.Context(), func(ctx context.Context) error {
				start := time.Now()
				bar := newProgress(a.stderr, "writing")
				err := synthetic.WriteFile(ctx, args[1], m, synthetic.Options{Threads: threads, Progress: bar.set})
				bar.clear()
				if err != nil {
					return err
				}
				w := modelWritten{m.String(), args[1], m.Parameters(), m.Bytes(), time.Since(start).Seconds()}
				if asJSON {
					return writeJSON(a.stdout, w)
				}
				_, err = fmt.Fprintf(a.stdout, "%s: %s, %s weights, %s in %.1f s\n",
					printable(w.File), w.Model, countText(w.Parameters), sizeText(w.Bytes), w.Seconds)
				return err
			})
		},
	}
	cmd.Flags().IntVarP(&threads, "threads", "t", 0, "CPU threads (0: one for each core)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

// writeSynthetic writes the model of a name to a folder, unless it is there, and returns its path.
func writeSynthetic(ctx context.Context, dir, name string, threads int, status *statusLine) (string, error) {
	m, err := synthetic.Parse(name)
	if err != nil {
		return "", &usageError{err}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	path := filepath.Join(dir, m.FileName())
	if holdsModel(path, m) {
		return path, nil
	}
	doing := fmt.Sprintf("writing %s, %s", m, sizeText(m.Bytes()))
	status.show(doing)
	last := int64(-1)
	err = synthetic.WriteFile(ctx, path, m, synthetic.Options{Threads: threads, Progress: func(done, total int64) {
		if percent := 100 * done / max(total, 1); percent != last && status.terminal {
			last = percent
			status.show(fmt.Sprintf("%s: %d%%", doing, percent))
		}
	}})
	if err != nil {
		return path, err
	}
	// Where the system cannot, small pages cost the peer and us a little.
	_ = mmap.Evict(path)
	return path, nil
}

// holdsModel reports whether a file is m, by its name and the size of its weights.
func holdsModel(path string, m synthetic.Model) bool {
	f, err := gguf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	name, _ := f.StringOr("general.name", "")
	return name == "synthetic "+m.String() && f.TensorBytes() == m.Bytes()
}
