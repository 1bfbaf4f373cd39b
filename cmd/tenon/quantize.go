package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/recipe"
	"github.com/tenon-go/tenon/tensor"
)

// quantizeFlags are the flags of tenon quantize.
type quantizeFlags struct {
	recipe  string
	output  string
	embd    string
	pure    bool
	threads int
	asJSON  bool
}

// quantizeFacts is what `tenon quantize --json` prints.
type quantizeFacts struct {
	In            string      `json:"in"`
	Out           string      `json:"out"`
	BytesIn       int64       `json:"bytesIn"`  // of the tensors
	BytesOut      int64       `json:"bytesOut"` // of the tensors
	BitsPerWeight float64     `json:"bitsPerWeight"`
	Types         []typeFacts `json:"types"` // of Out, the largest first
	Seconds       float64     `json:"seconds"`
}

func (a *app) quantizeCommand() *cobra.Command {
	q := &quantizeFlags{}
	cmd := &cobra.Command{
		Use:   "quantize --type TYPE IN OUT",
		Short: "Store the weights of a model in another type",
		Long: `Store the weights of a model in another type: every matrix, and no norm, bias, router or table of factors,
which stay as they are. The parts of a split model become one file.

A TYPE that names a tensor type is used for all of them; one that ends in _S, _M or _L is a mix, which
gives matrices that matter more a larger type. Where rows do not divide into blocks of the type another
one is used, and stderr says which.

Tensor types: ` + strings.Join(recipe.Names(false), " ") + `
Mixes:        ` + strings.Join(recipe.Names(true), " "),
		Example: `  tenon quantize --type Q8_0 model-f16.gguf model-q8_0.gguf
  tenon quantize --type Q4_K_M model-f16.gguf model-q4_k_m.gguf`,
		Args: wantArgs("IN", "OUT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return interruptible(cmd.Context(), func(ctx context.Context) error {
				return a.quantize(ctx, q, args[0], args[1])
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.recipe, "type", "", "`TYPE` of the matrices")
	f.StringVar(&q.output, "output-type", "", "`TYPE` of the output matrix alone")
	f.StringVar(&q.embd, "token-embedding-type", "", "`TYPE` of the token embeddings alone")
	f.BoolVar(&q.pure, "pure", false, "of a mix take the main type for all matrices")
	f.IntVarP(&q.threads, "threads", "t", 0, "CPU threads (0: one for each core)")
	f.BoolVar(&q.asJSON, "json", false, "print the result as one JSON document")
	_ = cmd.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(recipeNames(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) quantize(ctx context.Context, q *quantizeFlags, in, out string) error {
	plan, err := q.plan()
	if err != nil {
		return err
	}
	f, err := gguf.Open(in)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := checkOut(f, out); err != nil {
		return err
	}
	choices, err := plan.choose(f)
	if err != nil {
		return err
	}
	a.noteRequantized(choices)
	a.noteFallbacks(choices)

	start := time.Now()
	bar := newProgress(a.stderr, "quantizing")
	work := &quantizer{ctx: ctx, file: f, threads: threadsOr(q.threads), progress: bar.set, total: f.TensorBytes()}
	var sources []gguf.TensorSource
	for _, c := range choices {
		sources = append(sources, work.source(c))
	}
	err = gguf.WriteFile(out, outMetadata(f, plan.FileType), sources)
	bar.clear()
	if err != nil {
		return err
	}
	a.noteDamage(work)
	return a.reportQuantized(q, f, out, time.Since(start))
}

// outMetadata returns the metadata of the new file: that of f, but one file and other types.
func outMetadata(f *gguf.File, fileType uint32) *gguf.Metadata {
	meta := f.Clone()
	meta.Delete("split.no", "split.count", "split.tensors.count")
	meta.Set("general.file_type", gguf.ValueOf(fileType))
	meta.Set("general.quantization_version", gguf.ValueOf(uint32(quantizationVersion)))
	return meta
}

// quantizationVersion is the version of the block layouts that files say they have.
const quantizationVersion = 2

// checkOut refuses to write over what is read, by any of its names: out itself, or the name under which
// it is written until it is complete.
func checkOut(f *gguf.File, out string) error {
	for _, name := range []string{out, out + ".partial"} {
		to, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for i := range f.Splits() {
			from, err := os.Stat(f.Path(i))
			if err != nil {
				return err
			}
			if os.SameFile(from, to) {
				return fmt.Errorf("%s would overwrite %s, which is read: give OUT another name", printable(name), printable(f.Path(i)))
			}
		}
	}
	return nil
}

// noteRequantized says that a part of the loss is not this command's.
func (a *app) noteRequantized(choices []choice) {
	for _, c := range choices {
		if c.typ != c.info.Type && c.typ.Quantized() && c.info.Type.Quantized() {
			fmt.Fprintf(a.stderr, "note: %s is %v already: what that has lost stays lost, and more is\n",
				printable(c.info.Name), c.info.Type)
			return
		}
	}
}

// noteFallbacks says which matrices got another type than asked for, one line for each kind.
func (a *app) noteFallbacks(choices []choice) {
	type kind struct {
		wanted, typ tensor.DType
		row         int
	}
	count := map[kind]int{}
	first := map[kind]string{}
	for _, c := range choices {
		if c.wanted == c.typ {
			continue
		}
		k := kind{c.wanted, c.typ, c.info.Shape[0]}
		if count[k]++; count[k] == 1 {
			first[k] = c.info.Name
		}
	}
	kinds := slices.SortedFunc(maps.Keys(count), func(x, y kind) int { return strings.Compare(first[x], first[y]) })
	for _, k := range kinds {
		more := ""
		if n := count[k] - 1; n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		elems, _ := k.wanted.Block()
		fmt.Fprintf(a.stderr, "note: %s%s: %v instead of %v, as rows of %d do not divide into blocks of %d\n",
			printable(first[k]), more, k.typ, k.wanted, k.row, elems)
	}
}

// noteDamage says which tensors hold numbers that no type keeps.
func (a *app) noteDamage(q *quantizer) {
	for _, d := range q.damaged {
		fmt.Fprintf(a.stderr, "note: %s: %s that no type keeps: NaN or infinite\n", printable(d.tensor), plural(int(d.values), "value"))
	}
}

func (a *app) reportQuantized(q *quantizeFlags, in *gguf.File, out string, took time.Duration) error {
	f, err := gguf.Open(out)
	if err != nil {
		return fmt.Errorf("reading back: %w", err)
	}
	defer f.Close()
	file := inspectFile(f)
	facts := quantizeFacts{
		In: in.Path(0), Out: out, BytesIn: in.TensorBytes(), BytesOut: f.TensorBytes(),
		BitsPerWeight: file.Total.BitsPerWeight, Types: file.Types, Seconds: took.Seconds(),
	}
	if q.asJSON {
		return writeJSON(a.stdout, facts)
	}
	t := newTable(a.stdout)
	t.row("TYPE", "TENSORS", "WEIGHTS", "SIZE", "BITS EACH")
	for _, x := range append(facts.Types, file.Total) {
		if x.Type == "" {
			x.Type = "total"
		}
		t.row(x.Type, x.Tensors, countText(x.Elements), sizeText(x.Bytes), fmt.Sprintf("%.2f", x.BitsPerWeight))
	}
	if err := t.flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s: %s to %s in %.1f s\n",
		printable(out), sizeText(facts.BytesIn), sizeText(facts.BytesOut), facts.Seconds)
	return err
}
