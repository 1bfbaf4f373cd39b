package conformance

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"

	"github.com/tenon-go/tenon/tensor"
)

// The chapters of the suite, in the order in which they run.
const (
	ChapterOps         = "ops"         // every op and type against the oracle
	ChapterBuffers     = "buffers"     // memory: limits, ranges, copies
	ChapterPrograms    = "programs"    // compile and submit, over and over
	ChapterGraphs      = "graphs"      // whole layers of models
	ChapterFusion      = "fusion"      // groups of nodes that a device runs as one kernel
	ChapterSched       = "sched"       // graphs split between this device and another
	ChapterKV          = "kv"          // a KV cache in this device's memory
	ChapterConcurrency = "concurrency" // several goroutines
	ChapterCancel      = "cancel"      // contexts that end
	ChapterFaults      = "faults"      // what goes wrong stays where it went wrong
	ChapterLarge       = "large"       // tensors beyond 2^31 bytes; needs Options.MaxBytes
	ChapterCorpus      = "corpus"      // what another implementation computed; needs Options.Corpus
)

// Chapters returns the names of all chapters in their order.
func Chapters() []string {
	return []string{
		ChapterOps, ChapterBuffers, ChapterPrograms, ChapterGraphs, ChapterFusion, ChapterSched, ChapterKV, ChapterConcurrency,
		ChapterCancel, ChapterFaults, ChapterLarge,
		ChapterCorpus,
	}
}

// Case is one check. Its ID is printable, the same in every version of the suite that has the case, and
// all that is needed to run it again: its random numbers come from it.
type Case struct {
	ID      string // such as "MatMul/a=Q4_K,b=F32,m=16,n=1,k=256"
	Chapter string
	Op      string // what the support table calls it, such as "MatMul" or "Unary/SiLU"; of chapters ops and fusion
	Type    string // its column there, such as "Q4_K"; of chapters ops and fusion
	Bytes   int64  // of device memory, where it is much

	build build // of chapter ops
	want  want
	group *groupCase                                             // of chapter fusion, where it is about one group
	run   func(ctx context.Context, s *session) (measure, error) // of the other chapters
}

// build makes a case's node and what it is computed from.
type build func(g *gen) *tensor.Tensor

// want is what makes a case of chapter ops special.
type want uint8

const (
	inPlace    want = 1 << iota // the result is written over its source
	indexError                  // the run ends with an ErrIndex
)

// Cases returns all cases but those of a corpus, in the order in which they run.
func Cases() []Case {
	t := &table{}
	arithCases(t)
	unaryCases(t)
	normCases(t)
	sortCases(t)
	moveCases(t)
	rowsCases(t)
	ropeCases(t)
	softMaxCases(t)
	attentionCases(t)
	matMulCases(t)
	matMulIDCases(t)
	convCases(t)
	deltaNetCases(t)

	bufferCases(t)
	programCases(t)
	graphCases(t)
	fusionCases(t)
	schedCases(t)
	kvCases(t)
	concurrencyCases(t)
	cancelCases(t)
	faultCases(t)
	largeCases(t)
	return t.cases
}

type table struct{ cases []Case }

// op adds a case of chapter ops. Its id begins with the op's name in the support table.
func (t *table) op(id string, typ tensor.DType, w want, b build) {
	name, rest, _ := strings.Cut(id, "/")
	if name == "Unary" || name == "GLU" { // one row for each function
		f, _, _ := strings.Cut(rest, ",")
		_, f, _ = strings.Cut(f, "=")
		name += "/" + f
	}
	if w&inPlace != 0 {
		id += ",inplace"
	}
	t.cases = append(t.cases, Case{ID: id, Chapter: ChapterOps, Op: name, Type: typ.String(), build: b, want: w})
}

// check adds a case of another chapter.
func (t *table) check(chapter, name string, run func(ctx context.Context, s *session) (measure, error)) {
	t.cases = append(t.cases, Case{ID: chapter + "/" + name, Chapter: chapter, run: run})
}

// id joins an op's name and parameters: id("MatMul", "a", tensor.Q4_K, "m", 16) is "MatMul/a=Q4_K,m=16".
func id(op string, params ...any) string {
	var b strings.Builder
	b.WriteString(op)
	for i := 0; i < len(params); i += 2 {
		sep := byte(',')
		if i == 0 {
			sep = '/'
		}
		b.WriteByte(sep)
		fmt.Fprint(&b, params[i])
		b.WriteByte('=')
		if s, ok := params[i+1].(tensor.Shape); ok {
			for d := range s.Dims() {
				if d > 0 {
					b.WriteByte('x')
				}
				fmt.Fprint(&b, s[d])
			}
			continue
		}
		fmt.Fprint(&b, params[i+1])
	}
	return b.String()
}

// Seed returns what a case's random numbers begin with: the same for an id everywhere, unless extra is
// not 0.
func Seed(id string, extra uint64) uint64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return h.Sum64() ^ extra
}

func newRand(id string, extra uint64) *rand.Rand {
	return rand.New(rand.NewPCG(Seed(id, extra), 0x7e6f6e))
}
