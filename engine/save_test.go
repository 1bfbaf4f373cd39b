package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/frames"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
)

// saved returns the state file of sequence seq, which holds text.
func (r *rig) saved(seq int32, text []int32) []byte {
	r.t.Helper()
	var b bytes.Buffer
	st := engine.SequenceState{Tokens: text, Next: 7, Sampler: []byte("sampler"), Ahead: 3}
	if err := r.Save(context.Background(), &b, seq, st); err != nil {
		r.t.Fatal(err)
	}
	return b.Bytes()
}

// TestRestoredSequenceGoesOn: what a model says after a way through a file is, bit for bit, what it says without.
func TestRestoredSequenceGoesOn(t *testing.T) {
	for _, c := range append(slices.Clone(families), struct {
		name   string
		config tinymodel.Config
	}{"gemma4", tinymodel.SharedTarget(tinymodel.Config{})}) {
		for _, opt := range []engine.Options{exact, {}, {Snapshots: 2, Sequences: 2}} {
			t.Run(c.name, func(t *testing.T) {
				f := parse(t, c.config)
				text := ids(5, 60)
				whole, before := open(t, f, opt), open(t, f, opt)
				for _, r := range []*rig{whole, before} { // the same runs in both
					r.decode(tokens(0, 0, text[:20]))
					r.decode(tokens(0, 20, text[20:21]))
					r.decode(tokens(0, 21, text[21:40]))
				}
				file := before.saved(0, text[:40])

				other := open(t, f, opt)
				in := bytes.NewReader(append(bytes.Clone(file), 1, 2, 3))
				st, err := other.Restore(context.Background(), in, 0)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(st.Tokens, text[:40]) || st.Next != 7 || st.Ahead != 3 || string(st.Sampler) != "sampler" || in.Len() != 3 {
					t.Errorf("restored %+v, and %d bytes are left", st, in.Len())
				}
				for at := 40; at < len(text); at++ {
					step := tokens(0, int32(at), text[at:at+1])
					near(t, "restored", other.decode(step), whole.decode(step), 0)
				}
				if again := before.saved(0, text[:40]); !bytes.Equal(again, file) {
					t.Error("saved again it is another file")
				}
			})
		}
	}
}

// TestRestoredBesideOthers restores into an engine in which other sequences are.
func TestRestoredBesideOthers(t *testing.T) {
	f := parse(t, tinymodel.Qwen35(tinymodel.Config{Layers: 3}))
	opt := exact
	opt.Sequences, opt.Context = 3, 200
	text, other := ids(5, 40), ids(6, 40)
	want := open(t, f, exact).decode(tokens(0, 0, text))
	wantOther := open(t, f, exact).decode(tokens(0, 0, other))

	r := open(t, f, opt)
	r.decode(tokens(1, 0, other[:10]))
	r.decode(tokens(0, 0, text[:30]))
	file := r.saved(0, text[:30])
	if err := r.Cache().Remove(0, 0, -1); err != nil {
		t.Fatal(err)
	}
	r.decode(tokens(1, 10, other[10:25]))
	if _, err := r.Restore(context.Background(), bytes.NewReader(file), 2); err != nil {
		t.Fatal(err)
	}
	near(t, "the restored", r.decode(tokens(2, 30, text[30:])), want[30:], tolerance)
	near(t, "the other", r.decode(tokens(1, 25, other[25:])), wantOther[25:], tolerance)
	if _, err := r.Restore(context.Background(), bytes.NewReader(file), 2); !errors.Is(err, kv.ErrPos) {
		t.Errorf("into a sequence in use: %v, want kv.ErrPos", err)
	}
	if _, err := r.Restore(context.Background(), bytes.NewReader(file), 3); !errors.Is(err, kv.ErrSeq) {
		t.Errorf("into a sequence that does not exist: %v, want kv.ErrSeq", err)
	}
}

func TestStateFilesThatAreRefused(t *testing.T) {
	f := parse(t, tinymodel.Config{})
	r := open(t, f, exact)
	text := ids(5, 20)
	r.decode(tokens(0, 0, text))
	file := r.saved(0, text)
	change := func(at int, b byte) []byte {
		bad := bytes.Clone(file)
		bad[at] ^= b
		return bad
	}
	half := exact
	half.ExactCache = false
	small := exact
	small.Context, small.Batch = 8, 8
	for name, c := range map[string]struct {
		model tinymodel.Config
		opt   engine.Options
		file  []byte
		want  error
	}{
		"empty":          {file: nil, opt: exact, want: engine.ErrForeign},
		"no state file":  {file: []byte("GGUF is not a state file"), opt: exact, want: engine.ErrForeign},
		"a version":      {file: change(8, 2), opt: exact, want: engine.ErrForeign},
		"another model":  {model: tinymodel.Config{Seed: 1}, file: file, opt: exact, want: engine.ErrForeign},
		"half a header":  {file: file[:20], opt: exact, want: engine.ErrDamaged},
		"half a file":    {file: file[:len(file)/2], opt: exact, want: engine.ErrDamaged},
		"without end":    {file: file[:len(file)-8], opt: exact, want: engine.ErrDamaged},
		"a bit":          {file: change(len(file)/2, 4), opt: exact, want: engine.ErrDamaged},
		"a cache in F16": {file: file, opt: half, want: kv.ErrSaved},
		"a small cache":  {file: file, opt: small, want: kv.ErrFull},
	} {
		t.Run(name, func(t *testing.T) {
			fresh := open(t, parse(t, c.model), c.opt)
			st, err := fresh.Restore(context.Background(), bytes.NewReader(c.file), 0)
			if !errors.Is(err, c.want) || c.want != kv.ErrFull && !errors.Is(err, engine.ErrState) || err.Error() == "" {
				t.Errorf("%v, want one that matches %v", err, c.want)
			}
			if st.Tokens != nil || fresh.Cache().MaxPos(0) != -1 || fresh.Cache().Used(0) != 0 {
				t.Errorf("a file that was refused has left %+v", st)
			}
			n := min(len(text), fresh.Options().Context)
			near(t, "after it", fresh.decode(tokens(0, 0, text[:n])), open(t, parse(t, c.model), c.opt).decode(tokens(0, 0, text[:n])), 0)
		})
	}

	for name, st := range map[string]engine.SequenceState{
		"too few tokens": {Tokens: text[:19], Next: -1},
		"a wrong token":  {Tokens: append(slices.Clone(text[:19]), 320), Next: -1},
		"a wrong next":   {Tokens: text, Next: -2},
		"all ahead":      {Tokens: text, Next: 7, Ahead: 21},
		"less than none": {Tokens: text, Next: 7, Ahead: -1},
		"ahead of none":  {Tokens: text, Next: -1, Ahead: 1},
	} {
		if err := r.Save(context.Background(), io.Discard, 0, st); !errors.Is(err, engine.ErrState) {
			t.Errorf("%s: %v, want ErrState", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Save(ctx, io.Discard, 0, engine.SequenceState{}); !errors.Is(err, context.Canceled) {
		t.Errorf("saving: %v", err)
	}
	if _, err := r.Restore(ctx, bytes.NewReader(file), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("restoring: %v", err)
	}
}

// stateStream returns what is within the frames of a state file, and the head before them.
func stateStream(t testing.TB, file []byte) (head, stream []byte) {
	t.Helper()
	const size = 8 + 4 + 32
	stream, err := io.ReadAll(frames.NewReader(bytes.NewReader(file[size:])))
	if err != nil {
		t.Fatal(err)
	}
	return file[:size], stream
}

// restoreStream restores stream in frames that are sound, and checks that the engine can go on, whatever comes of it.
func restoreStream(t testing.TB, r *rig, head, stream []byte) {
	file := bytes.NewBuffer(bytes.Clone(head))
	w := frames.NewWriter(file)
	if _, err := w.Write(stream); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	st, err := r.Restore(context.Background(), file, 0)
	at := r.Cache().MaxPos(0)
	if err != nil && (at != -1 || r.Cache().Used(0) != 0) {
		t.Fatalf("refused (%v), but the sequence ends at %d", err, at)
	}
	if err == nil && at+1 != len(st.Tokens) {
		t.Fatalf("%d tokens, but the sequence ends at %d", len(st.Tokens), at)
	}
	if at+1 < r.Options().Context {
		r.decode(tokens(0, int32(at+1), []int32{5}))
	}
	r.Cache().Clear()
}

func hostileState(t testing.TB) (f *gguf.File, head, stream []byte) {
	f = parse(t, tinymodel.Qwen35(tinymodel.Config{}))
	r := open(t, f, exact)
	text := ids(5, 6)
	r.decode(tokens(0, 0, text))
	head, stream = stateStream(t, r.saved(0, text))
	return f, head, stream
}

func TestHostileStates(t *testing.T) {
	f, head, stream := hostileState(t)
	r := open(t, f, exact)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 400 {
		bad := bytes.Clone(stream)
		switch rng.IntN(3) {
		case 0:
			bad = bad[:rng.IntN(len(bad))]
		case 1:
			bad[rng.IntN(400)] ^= 1 << rng.IntN(8)
		case 2:
			binary.LittleEndian.PutUint32(bad[4*rng.IntN(100):], []uint32{0, 1, 5, 6, 1<<31 - 1, 1<<32 - 1}[rng.IntN(6)])
		}
		restoreStream(t, r, head, bad)
	}
}

func FuzzRestore(f *testing.F) {
	file, head, stream := hostileState(f)
	f.Add(stream)
	r := open(f, file, exact)
	f.Fuzz(func(t *testing.T, stream []byte) { restoreStream(t, &rig{r.Engine, t}, head, stream) })
}
