package quant_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/internal/testcorpus"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// corpus is the folder of quantized blocks of the reference corpus.
type corpus struct {
	dir     string
	rows    int
	length  int
	input   []float32 // rows*length
	weights []float32 // rows*length: the importance of each column, repeated for every row
	types   []string
}

func openCorpus(t *testing.T) *corpus {
	t.Helper()
	c := &corpus{dir: filepath.Join(testcorpus.Dir(t), "quant")}
	var manifest struct {
		Rows      int `json:"rows"`
		RowLength int `json:"row_length"`
		Types     []struct {
			Name string `json:"name"`
		} `json:"types"`
	}
	if err := json.Unmarshal(c.read(t, "manifest.json"), &manifest); err != nil {
		t.Fatalf("manifest.json: %v", err)
	}
	c.rows, c.length = manifest.Rows, manifest.RowLength
	c.input = floats(c.read(t, "input.f32"))
	column := floats(c.read(t, "imatrix.f32"))
	if len(c.input) != c.rows*c.length || len(column) != c.length || len(c.input) == 0 {
		t.Fatalf("have %d values and %d weights, want %d rows of %d", len(c.input), len(column), c.rows, c.length)
	}
	c.weights = slices.Repeat(column, c.rows)
	for _, typ := range manifest.Types {
		c.types = append(c.types, typ.Name)
	}
	return c
}

func (c *corpus) read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// readIfThere returns nil for a file that does not exist.
func (c *corpus) readIfThere(t *testing.T, name string) []byte {
	t.Helper()
	if _, err := os.Stat(filepath.Join(c.dir, name)); os.IsNotExist(err) {
		return nil
	}
	return c.read(t, name)
}

// format returns the format of the named type, or skips a type that has no code yet.
func format(t *testing.T, name string) quant.Format {
	t.Helper()
	typ, ok := tensor.ParseDType(name)
	if !ok {
		t.Fatalf("unknown type %s", name)
	}
	f, err := quant.Of(typ)
	if err != nil {
		t.Skip(err)
	}
	return f
}

func floats(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}

func TestCorpusDecode(t *testing.T) {
	c := openCorpus(t)
	files, skipped := 0, 0
	refs, err := filepath.Glob(filepath.Join(c.dir, "*.deq.f32"))
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range refs {
		base := strings.TrimSuffix(filepath.Base(ref), ".deq.f32")
		t.Run(base, func(t *testing.T) {
			skipped++
			name, _, _ := strings.Cut(base, ".")
			f := format(t, name)
			skipped--
			src, want := c.read(t, base+".bin"), floats(c.read(t, base+".deq.f32"))
			got := make([]float32, len(want))
			if err := quant.Decode(f.Type, got, src); err != nil {
				t.Fatal(err)
			}
			differ, worst := 0, 0.0
			for i := range want {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					differ++
					worst = max(worst, math.Abs(float64(got[i])-float64(want[i])))
				}
			}
			t.Logf("%s: %d values, %d not bit-equal, worst difference %g", base, len(want), differ, worst)
			if differ != 0 || len(want) == 0 {
				t.Fail()
			}
			files++
		})
	}
	t.Logf("%d files compared, %d of types without code skipped", files, skipped)
	if files == 0 {
		t.Error("no file was compared")
	}
}

// byteEqual names the types whose encoders follow a rule that leaves no choice.
var byteEqual = []string{"F16", "BF16", "Q8_0", "Q8_1", "Q8_K", "Q4_0", "Q4_1", "Q5_0", "Q5_1"}

// rmseSlack is how much more error than the peer's bytes ours may have.
const rmseSlack = 1.01

func TestCorpusEncode(t *testing.T) {
	c := openCorpus(t)
	files, skipped := 0, 0
	for _, name := range c.types {
		for _, kind := range []struct {
			file    string
			weights []float32
		}{{name + ".bin", nil}, {name + ".imatrix.bin", c.weights}} {
			peer := c.readIfThere(t, kind.file)
			if peer == nil {
				continue
			}
			t.Run(strings.TrimSuffix(kind.file, ".bin"), func(t *testing.T) {
				skipped++
				f := format(t, name)
				skipped--
				c.compareEncode(t, f, peer, kind.weights)
				files++
			})
		}
	}
	t.Logf("%d files compared, %d of types without code skipped", files, skipped)
	if files == 0 {
		t.Error("no file was compared")
	}
}

func (c *corpus) compareEncode(t *testing.T, f quant.Format, peer []byte, weights []float32) {
	t.Helper()
	ours := make([]byte, len(peer))
	if err := quant.Encode(f.Type, ours, c.input, weights); err != nil {
		t.Fatal(err)
	}
	equal := 0
	rowBytes := f.Type.RowBytes(c.length)
	var ratios []string
	worst := 0.0
	for r := range c.rows {
		a, b := ours[r*rowBytes:][:rowBytes], peer[r*rowBytes:][:rowBytes]
		if bytes.Equal(a, b) {
			equal++
		} else if weights == nil && slices.Contains(byteEqual, f.Type.String()) {
			t.Errorf("row %d: bytes differ from the reference", r)
		}
		x := c.input[r*c.length:][:c.length]
		var w []float32
		if weights != nil {
			w = weights[r*c.length:][:c.length]
		}
		have, want := rmse(t, f.Type, a, x, w), rmse(t, f.Type, b, x, w)
		ratio := 1.0
		if have != want {
			ratio = have / want
		}
		worst = max(worst, ratio)
		ratios = append(ratios, fmt.Sprintf("%.3f", ratio))
		if !(have <= want*rmseSlack) {
			t.Errorf("row %d: RMSE %g, the reference has %g", r, have, want)
		}
	}
	t.Logf("%v: %d rows, %d byte-equal, worst RMSE ratio %.4f, by row %s", f.Type, c.rows, equal, worst, strings.Join(ratios, " "))
}

// rmse returns the (weighted) root of the mean squared error of the decoded bytes against x.
func rmse(t *testing.T, typ tensor.DType, b []byte, x, w []float32) float64 {
	t.Helper()
	y := make([]float32, len(x))
	if err := quant.Decode(typ, y, b); err != nil {
		t.Fatal(err)
	}
	var sum, total float64
	for i := range x {
		weight := 1.0
		if w != nil {
			weight = float64(w[i])
		}
		diff := float64(x[i]) - float64(y[i])
		sum += weight * diff * diff
		total += weight
	}
	return math.Sqrt(sum / total)
}
