package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/engine"
)

// logitsFlags are the flags of tenon logits.
type logitsFlags struct {
	model  modelFlags
	tokens string
	out    string
	step   bool
	asJSON bool
}

// logitsFacts is what `tenon logits --json` prints.
type logitsFacts struct {
	Out    string `json:"out"`
	Tokens int    `json:"tokens"` // rows
	Vocab  int    `json:"vocab"`  // columns
	Bytes  int64  `json:"bytes"`
}

func (a *app) logitsCommand() *cobra.Command {
	// The defaults are those of a reference: nothing is rounded that need not be.
	l := &logitsFlags{model: modelFlags{exact: true}}
	cmd := &cobra.Command{
		Use:   "logits -m FILE --tokens IDS -o OUT",
		Short: "Write the logits of every position",
		Long: `Write the logits of every position of a sequence of tokens: float32, little-endian, row by row, without a
header. The tokens stand at positions 0, 1, 2 and so on; nothing is added to them.

Products are exact and the cache is F32 unless --exact=false and --cache-type-k and -v say otherwise.`,
		Example: `  tenon logits -m model.gguf --tokens 1,403,407 -o logits.f32
  tenon tokenize -m model.gguf < text | tenon logits -m model.gguf --tokens @- -o logits.f32`,
		Args: wantArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return interruptible(cmd.Context(), func(ctx context.Context) error { return a.logits(ctx, l) })
		},
	}
	l.model.add(cmd)
	f := cmd.Flags()
	f.StringVar(&l.tokens, "tokens", "", "`IDS` separated by commas, or @FILE with a JSON array of ids (@-: stdin)")
	f.StringVarP(&l.out, "output", "o", "", "`FILE` to write to (-: stdout)")
	f.BoolVar(&l.step, "step", false, "process one token at a time, as generation does")
	f.BoolVar(&l.asJSON, "json", false, "print what was written as one JSON document")
	return cmd
}

func (a *app) logits(ctx context.Context, l *logitsFlags) error {
	if err := l.model.check(); err != nil {
		return err
	}
	switch {
	case l.out == "":
		return usagef("no file to write to is given: -o FILE")
	case l.out == "-" && l.asJSON:
		return usagef("--json and -o - both write to stdout")
	}
	ids, err := a.tokenIDs(l.tokens)
	if err != nil {
		return err
	}
	if l.model.context == 0 {
		l.model.context = len(ids)
	}
	m, _, err := l.model.open(a)
	if err != nil {
		return err
	}
	defer m.Close()
	vocab := m.Params().Vocab
	if err := checkIDs(ids, vocab); err != nil {
		return err
	}
	write := func(w io.Writer) error { return writeLogits(ctx, m, ids, l.step, w) }
	if l.out == "-" {
		return write(a.stdout)
	}
	if err := writeFile(l.out, write); err != nil {
		return err
	}
	if !l.asJSON {
		return nil
	}
	return writeJSON(a.stdout, logitsFacts{l.out, len(ids), vocab, int64(len(ids)) * int64(vocab) * 4})
}

// tokenIDs reads the value of --tokens.
func (a *app) tokenIDs(text string) ([]int32, error) {
	var ids []int32
	if name, isFile := strings.CutPrefix(text, "@"); isFile {
		source, err := a.readAll(name)
		if err == nil {
			ids, err = parseJSONIDs(source)
		}
		if err != nil {
			return nil, fmt.Errorf("--tokens %s: %w", printable(text), err)
		}
	} else if text != "" {
		for i, field := range strings.Split(text, ",") {
			id, err := strconv.ParseInt(strings.TrimSpace(field), 10, 32)
			if err != nil {
				return nil, usagef("--tokens: %q at index %d is no token id", field, i)
			}
			ids = append(ids, int32(id))
		}
	}
	if len(ids) == 0 {
		return nil, usagef("no tokens are given: --tokens 1,2,3")
	}
	return ids, nil
}

// readAll reads a file, or stdin if name is "-".
func (a *app) readAll(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(a.stdin)
	}
	return os.ReadFile(name)
}

// parseJSONIDs takes one JSON array of ids.
func parseJSONIDs(source []byte) ([]int32, error) {
	var ids []int32
	if err := json.Unmarshal(source, &ids); err != nil {
		return nil, fmt.Errorf("want a JSON array of token ids: %w", err)
	}
	if ids == nil { // null is valid JSON and no array
		return nil, errors.New("want a JSON array of token ids: have null")
	}
	return ids, nil
}

// checkIDs looks at all tokens before the first is processed.
func checkIDs(ids []int32, vocab int) error {
	for i, id := range ids {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("token %d (at index %d) is outside the vocabulary of %d tokens", id, i, vocab)
		}
	}
	return nil
}

// writeLogits takes ids through the model and writes a row of logits for each. Only the rows of one run
// are in memory.
func writeLogits(ctx context.Context, m *tenon.Model, ids []int32, step bool, w io.Writer) error {
	e := m.Engine()
	atOnce := e.Options().Batch
	if step {
		atOnce = 1
	}
	out := bufio.NewWriterSize(w, 1<<16)
	batch := make([]engine.Token, 0, atOnce)
	row := make([]byte, 4*m.Params().Vocab)
	for from := 0; from < len(ids); from += atOnce {
		batch = batch[:0]
		for i := from; i < min(from+atOnce, len(ids)); i++ {
			batch = append(batch, engine.Token{ID: ids[i], Pos: int32(i), Output: true})
		}
		if err := e.Decode(ctx, batch); err != nil {
			return fmt.Errorf("from position %d: %w", from, fullError(err))
		}
		for i := range batch {
			for j, v := range e.Logits(i) {
				binary.LittleEndian.PutUint32(row[4*j:], math.Float32bits(v))
			}
			if _, err := out.Write(row); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// writeFile has write fill a file that gets its name when it is complete.
func writeFile(path string, write func(io.Writer) error) (err error) {
	partial := path + ".partial"
	f, err := os.Create(partial)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(partial))
		}
	}()
	if err := errors.Join(write(f), f.Close()); err != nil {
		return err
	}
	return os.Rename(partial, path)
}
