package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/tensor"
)

// fileFacts is what `tenon inspect --json` prints.
type fileFacts struct {
	Files    []string                 `json:"files"` // the parts of a split model, or the one file
	Version  int                      `json:"version"`
	Bytes    int64                    `json:"bytes"`
	Metadata map[string]metadataFacts `json:"metadata"`
	Tensors  []tensorFacts            `json:"tensors"` // in the order of the file
	Types    []typeFacts              `json:"types"`   // the largest first
	Total    typeFacts                `json:"total"`
}

type metadataFacts struct {
	Type  string `json:"type"`
	Value any    `json:"value"`
}

type tensorFacts struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Shape    []int  `json:"shape"` // fastest first
	Elements int64  `json:"elements"`
	Bytes    int64  `json:"bytes"`
	File     int    `json:"file"` // which of Files holds it
	Offset   int64  `json:"offset"`
}

// typeFacts sums up the tensors of one type, or of all.
type typeFacts struct {
	Type          string  `json:"type,omitempty"`
	Tensors       int     `json:"tensors"`
	Elements      int64   `json:"elements"`
	Bytes         int64   `json:"bytes"`
	BitsPerWeight float64 `json:"bitsPerWeight"`
}

func (t *typeFacts) add(elements, bytes int64) {
	t.Tensors++
	t.Elements += elements
	t.Bytes += bytes
	if t.Elements > 0 {
		t.BitsPerWeight = 8 * float64(t.Bytes) / float64(t.Elements)
	}
}

func (a *app) inspectCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show what a GGUF file holds",
		Long: `Show what a GGUF file holds: its metadata, its tensors with types and sizes, and totals by type.

Of a split model FILE is any part, and all parts are shown as one. --json has every array in full.`,
		Args: wantArgs("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := gguf.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			facts := inspectFile(f)
			if asJSON {
				for key, v := range f.All() {
					facts.Metadata[key] = metadataFacts{v.Type().String(), jsonValue(v)}
				}
				return writeJSON(a.stdout, facts)
			}
			return a.printFile(f, facts)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

// inspectFile returns everything but the metadata, of which a table needs much less than a document.
func inspectFile(f *gguf.File) *fileFacts {
	facts := &fileFacts{
		Version: f.Version(), Bytes: f.Size(), Metadata: map[string]metadataFacts{},
		Tensors: []tensorFacts{}, Types: []typeFacts{},
	}
	for i := range f.Splits() {
		facts.Files = append(facts.Files, f.Path(i))
	}
	byType := map[tensor.DType]*typeFacts{}
	for t := range f.Tensors() {
		elements := int64(t.Shape.Elems())
		facts.Tensors = append(facts.Tensors, tensorFacts{
			Name: t.Name, Type: t.Type.String(), Shape: t.Shape[:t.Shape.Dims()],
			Elements: elements, Bytes: t.Size, File: t.Split, Offset: t.Offset,
		})
		if byType[t.Type] == nil {
			byType[t.Type] = &typeFacts{Type: t.Type.String()}
		}
		byType[t.Type].add(elements, t.Size)
		facts.Total.add(elements, t.Size)
	}
	for _, t := range byType {
		facts.Types = append(facts.Types, *t)
	}
	slices.SortFunc(facts.Types, func(a, b typeFacts) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.Type, b.Type))
	})
	return facts
}

// jsonValue returns v as something that JSON can hold: it has no NaN and no infinities, which become
// strings.
func jsonValue(v gguf.Value) any {
	switch elem, isArray := v.Elem(); {
	case isArray && elem == gguf.TypeUint8:
		// A []byte would become base64.
		return jsonValues(v)
	case isArray && (elem == gguf.TypeFloat32 || elem == gguf.TypeFloat64 || elem == gguf.TypeArray):
		return jsonValues(v)
	}
	switch x := v.Any().(type) {
	case float32:
		return jsonFloat(float64(x), x)
	case float64:
		return jsonFloat(x, x)
	default:
		return x
	}
}

func jsonValues(v gguf.Value) []any {
	out := make([]any, 0, v.Len())
	for e := range v.Elems() {
		out = append(out, jsonValue(e))
	}
	return out
}

// jsonFloat returns asIs, a float of either width, unless its value is no JSON number.
func jsonFloat(value float64, asIs any) any {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return fmt.Sprint(asIs)
	}
	return asIs
}

func (a *app) printFile(f *gguf.File, facts *fileFacts) error {
	t := newTable(a.stdout)
	for i, name := range facts.Files {
		label := "file"
		if i > 0 {
			label = ""
		}
		t.row(label, printable(name))
	}
	t.row("format", fmt.Sprintf("GGUF version %d", facts.Version))
	t.row("size", fmt.Sprintf("%s (%d bytes)", sizeText(facts.Bytes), facts.Bytes))
	t.row("weights", fmt.Sprintf("%s in %s, %.2f bits each",
		countText(facts.Total.Elements), plural(facts.Total.Tensors, "tensor"), facts.Total.BitsPerWeight))

	t.row()
	t.row("METADATA", "TYPE", "VALUE")
	for key, v := range f.All() {
		t.row(printable(key), v.Type(), v)
	}
	t.row()
	t.row("TENSOR", "TYPE", "SHAPE", "SIZE")
	for _, x := range facts.Tensors {
		t.row(printable(x.Name), x.Type, shapeText(x.Shape), sizeText(x.Bytes))
	}
	t.row()
	t.row("TOTAL", "TENSORS", "WEIGHTS", "SIZE", "BITS EACH")
	for _, x := range facts.Types {
		t.row(x.Type, x.Tensors, countText(x.Elements), sizeText(x.Bytes), fmt.Sprintf("%.2f", x.BitsPerWeight))
	}
	return t.flush()
}

func shapeText(sizes []int) string {
	texts := make([]string, len(sizes))
	for i, n := range sizes {
		texts[i] = fmt.Sprint(n)
	}
	return strings.Join(texts, " x ")
}
