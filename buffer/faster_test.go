package buffer_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/tenon-go/tenon/buffer"
)

// remote is a buffer that the host cannot address. It counts how it is used.
type remote struct {
	mem           []byte
	reads, writes int
	largest       int
	readErr       error
	writeErr      error
}

type remoteType struct{ buffer.Type }

func newRemote(content string) *remote { return &remote{mem: []byte(content)} }

func (r *remote) Type() buffer.Type { return remoteType{} }
func (r *remote) Size() int64       { return int64(len(r.mem)) }
func (r *remote) Close() error      { return nil }

func (r *remote) ReadAt(p []byte, off int64) (int, error) {
	r.reads++
	r.largest = max(r.largest, len(p))
	if err := buffer.CheckRange(r.Size(), off, int64(len(p))); err != nil || r.readErr != nil {
		return 0, errors.Join(err, r.readErr)
	}
	return copy(p, r.mem[off:]), nil
}

func (r *remote) WriteAt(p []byte, off int64) (int, error) {
	r.writes++
	r.largest = max(r.largest, len(p))
	if err := buffer.CheckRange(r.Size(), off, int64(len(p))); err != nil || r.writeErr != nil {
		return 0, errors.Join(err, r.writeErr)
	}
	return copy(r.mem[off:], p), nil
}

// peer is a remote that copies from its like without the host.
type peer struct {
	*remote
	copies int
	err    error
}

func (p *peer) CopyFrom(offset int64, src buffer.Buffer, srcOffset, n int64) (bool, error) {
	s, ok := src.(*peer)
	if !ok || p.err != nil {
		return false, p.err
	}
	p.copies++
	copy(p.mem[offset:offset+n], s.mem[srcOffset:srcOffset+n])
	return true, nil
}

// filler is a remote that sets bytes by itself.
type filler struct {
	*remote
	fills int
}

func (f *filler) Fill(offset, n int64, value byte) error {
	f.fills++
	copy(f.mem[offset:offset+n], bytes.Repeat([]byte{value}, int(n)))
	return nil
}

func hostWith(t *testing.T, content string) buffer.Buffer {
	t.Helper()
	b := alloc(t, buffer.NewHost(owner, 0), int64(len(content)))
	if _, err := b.WriteAt([]byte(content), 0); err != nil {
		t.Fatal(err)
	}
	return b
}

func content(t *testing.T, b buffer.Buffer) string {
	t.Helper()
	p := make([]byte, b.Size())
	if _, err := b.ReadAt(p, 0); err != nil {
		t.Fatal(err)
	}
	return string(p)
}

func TestCopyBetweenAllKinds(t *testing.T) {
	const from, to = "0123456789abcdef", "................"
	kinds := map[string]func(string) buffer.Buffer{
		"host":   func(s string) buffer.Buffer { return hostWith(t, s) },
		"remote": func(s string) buffer.Buffer { return newRemote(s) },
		"peer":   func(s string) buffer.Buffer { return &peer{remote: newRemote(s)} },
	}
	for dstKind, newDst := range kinds {
		for srcKind, newSrc := range kinds {
			for _, scratch := range [][]byte{nil, make([]byte, 3), make([]byte, 100)} {
				t.Run(fmt.Sprintf("%s to %s by %d", srcKind, dstKind, len(scratch)), func(t *testing.T) {
					dst, src := newDst(to), newSrc(from)
					if err := buffer.Copy(dst, 2, src, 5, 10, scratch); err != nil {
						t.Fatal(err)
					}
					if got, want := content(t, dst), "..56789abcde...."; got != want {
						t.Errorf("%q, want %q", got, want)
					}
					if got := content(t, src); got != from {
						t.Errorf("the source is now %q", got)
					}
				})
			}
		}
	}
}

func TestCopyTakesTheFastestWay(t *testing.T) {
	a, b := &peer{remote: newRemote("aaaa")}, &peer{remote: newRemote("bbbb")}
	if err := buffer.Copy(a, 0, b, 0, 4, nil); err != nil || a.copies != 1 || a.writes != 0 || b.reads != 0 {
		t.Errorf("%v: %d copies, %d writes, %d reads", err, a.copies, a.writes, b.reads)
	}
	r := newRemote("rrrr")
	if err := buffer.Copy(a, 0, r, 0, 4, nil); err != nil || a.copies != 1 || a.writes != 1 || r.reads != 1 {
		t.Errorf("no way between them: %v: %d copies, %d writes, %d reads", err, a.copies, a.writes, r.reads)
	}
	// One side mapped: one call on the other, of all bytes at once.
	big := string(bytes.Repeat([]byte("x"), 3<<20))
	r = newRemote(big)
	if err := buffer.Copy(r, 0, hostWith(t, big), 0, int64(len(big)), nil); err != nil || r.writes != 1 || r.reads != 0 {
		t.Errorf("%v: %d writes, %d reads", err, r.writes, r.reads)
	}
	if err := buffer.Copy(hostWith(t, big), 0, r, 0, int64(len(big)), nil); err != nil || r.writes != 1 || r.reads != 1 {
		t.Errorf("%v: %d writes, %d reads", err, r.writes, r.reads)
	}
	// Neither: the scratch bounds what is moved at a time, and without one the memory taken is bounded.
	s := newRemote(big)
	if err := buffer.Copy(r, 0, s, 0, int64(len(big)), make([]byte, 1<<20)); err != nil || s.reads != 3 || s.largest != 1<<20 {
		t.Errorf("%v: %d reads of at most %d", err, s.reads, s.largest)
	}
	s = newRemote(big)
	if err := buffer.Copy(r, 0, s, 0, int64(len(big)), nil); err != nil || s.largest > 1<<20 {
		t.Errorf("%v: reads of %d", err, s.largest)
	}
}

func TestCopyChecksBothRanges(t *testing.T) {
	for _, c := range [][3]int64{
		{-1, 0, 4},
		{0, -1, 4},
		{0, 0, -1},
		{13, 0, 4},
		{0, 5, 4},
		{17, 0, 0},
		{0, 9, 0},
		{1, 0, math.MaxInt64},
		{0, math.MaxInt64, 1},
		{math.MinInt64, 0, 1},
		{math.MaxInt64, math.MaxInt64, math.MaxInt64},
	} {
		dst, src := &peer{remote: newRemote("................")}, &peer{remote: newRemote("01234567")}
		if err := buffer.Copy(dst, c[0], src, c[1], c[2], nil); !errors.Is(err, buffer.ErrRange) {
			t.Errorf("%d bytes from %d of 8 to %d of 16: %v", c[2], c[1], c[0], err)
		}
		if dst.copies+dst.writes+src.reads != 0 {
			t.Errorf("%v: something was moved", c)
		}
	}
	dst, src := newRemote("................"), newRemote("01234567")
	if err := buffer.Copy(dst, 16, src, 8, 0, nil); err != nil || dst.writes+src.reads != 0 {
		t.Errorf("nothing at the ends: %v", err)
	}
}

func TestCopyReturnsErrors(t *testing.T) {
	lost := errors.New("device is lost")
	a, b := newRemote("aaaa"), newRemote("bbbb")
	a.readErr = lost
	if err := buffer.Copy(b, 0, a, 0, 4, nil); !errors.Is(err, lost) {
		t.Errorf("read: %v", err)
	}
	if err := buffer.Copy(hostWith(t, "hhhh"), 0, a, 0, 4, nil); !errors.Is(err, lost) {
		t.Errorf("read into a mapped buffer: %v", err)
	}
	b.writeErr = lost
	if err := buffer.Copy(b, 0, newRemote("cccc"), 0, 4, nil); !errors.Is(err, lost) {
		t.Errorf("write: %v", err)
	}
	p := &peer{remote: newRemote("pppp"), err: lost}
	if err := buffer.Copy(p, 0, &peer{remote: newRemote("qqqq")}, 0, 4, nil); !errors.Is(err, lost) || p.writes != 0 {
		t.Errorf("copy: %v, then %d writes", err, p.writes)
	}
}

func TestFill(t *testing.T) {
	for _, value := range []byte{0, 7} {
		large := bytes.Repeat([]byte("."), 200_000)
		want := bytes.Clone(large)
		copy(want[3:199_990], bytes.Repeat([]byte{value}, 199_987))
		f := &filler{remote: newRemote(string(large))}
		r := newRemote(string(large))
		for name, b := range map[string]buffer.Buffer{"host": hostWith(t, string(large)), "remote": r, "filler": f} {
			if err := buffer.Fill(b, 3, 199_987, value); err != nil || content(t, b) != string(want) {
				t.Errorf("%s with %d: %v", name, value, err)
			}
		}
		if f.fills != 1 || f.writes != 0 {
			t.Errorf("the filler was filled %d times and written %d times", f.fills, f.writes)
		}
		if r.largest > 200_000 || r.writes < 2 {
			t.Errorf("%d writes of at most %d bytes", r.writes, r.largest)
		}
	}
}

func TestFillRefuses(t *testing.T) {
	lost := errors.New("device is lost")
	for _, c := range [][2]int64{{-1, 1}, {0, -1}, {5, 0}, {4, 1}, {1, math.MaxInt64}, {math.MaxInt64, 1}} {
		f := &filler{remote: newRemote("....")}
		for _, b := range []buffer.Buffer{f, f.remote, hostWith(t, "....")} {
			if err := buffer.Fill(b, c[0], c[1], 1); !errors.Is(err, buffer.ErrRange) {
				t.Errorf("%d bytes at %d of 4: %v", c[1], c[0], err)
			}
		}
		if f.fills+f.writes != 0 {
			t.Errorf("%v: something was written", c)
		}
	}
	r := newRemote("....")
	if err := buffer.Fill(r, 4, 0, 1); err != nil || r.writes != 0 {
		t.Errorf("nothing at the end: %v", err)
	}
	r.writeErr = lost
	if err := buffer.Fill(r, 0, 4, 1); !errors.Is(err, lost) {
		t.Errorf("write: %v", err)
	}
}

func TestFasterWaysAreOptional(t *testing.T) {
	if buffer.HostBytes(newRemote("....")) != nil {
		t.Error("a buffer that is not mapped has host memory")
	}
	if b, err := buffer.Import(remoteType{}, make([]byte, 8)); b != nil || err != nil {
		t.Errorf("a type that cannot import gave %v, %v", b, err)
	}
}

func TestAllocErrorText(t *testing.T) {
	sys := errors.New("cannot map")
	for _, c := range []struct {
		err  buffer.AllocError
		want string
	}{
		{buffer.AllocError{Type: "Vulkan0", Size: 500, Available: 400}, "buffer: cannot allocate 500 bytes of Vulkan0 memory, 400 are left"},
		{buffer.AllocError{Type: "CPU", Size: 500, Available: -1}, "buffer: cannot allocate 500 bytes of CPU memory"},
		{
			buffer.AllocError{Type: "CPU", Size: 500, Available: 0, Err: sys},
			"buffer: cannot allocate 500 bytes of CPU memory, 0 are left: cannot map",
		},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		if !errors.Is(&c.err, buffer.ErrNoMemory) || errors.Is(&c.err, sys) != (c.err.Err != nil) || errors.Is(&c.err, buffer.ErrRange) {
			t.Errorf("%q matches the wrong errors", c.want)
		}
	}
}

func TestCheckRangeSaysBothSides(t *testing.T) {
	err := buffer.CheckRange(100, 90, 11)
	if got, want := err.Error(), "buffer: outside the buffer: 11 bytes at offset 90 of 100"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, c := range [][3]int64{{0, 0, 0}, {100, 100, 0}, {100, 0, 100}, {math.MaxInt64, 1, math.MaxInt64 - 1}} {
		if err := buffer.CheckRange(c[0], c[1], c[2]); err != nil {
			t.Error(err)
		}
	}
}
