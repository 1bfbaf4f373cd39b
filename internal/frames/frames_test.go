package frames

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

func written(t testing.TB, data []byte, step int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out)
	for len(data) > 0 {
		n := min(step, len(data))
		if _, err := w.Write(data[:n]); err != nil {
			t.Fatal(err)
		}
		data = data[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func noise(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 100, maxPayload - 1, maxPayload, maxPayload + 1, 3*maxPayload + 7} {
		data := noise(n)
		file := written(t, data, 70_001)
		tail := append(bytes.Clone(file), "more"...)
		in := bytes.NewReader(tail)
		got, err := io.ReadAll(NewReader(iotest.HalfReader(in)))
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes: %d came back, %v", n, len(got), err)
		}
		if in.Len() != len("more") {
			t.Errorf("%d bytes: %d bytes are left behind the stream, want 4", n, in.Len())
		}
	}
}

func TestDamage(t *testing.T) {
	data := noise(2*maxPayload + 300)
	file := written(t, data, 1<<20)
	r := rand.New(rand.NewPCG(2, 2))
	for range 60 {
		bad := bytes.Clone(file)
		switch r.IntN(3) {
		case 0:
			bad = bad[:r.IntN(len(bad))]
		case 1:
			bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
		case 2: // two frames in the other order
			size := 8 + maxPayload
			bad = append(append(bytes.Clone(file[size:2*size]), file[:size]...), file[2*size:]...)
		}
		got, err := io.ReadAll(NewReader(bytes.NewReader(bad)))
		var damage *DamageError
		if !errors.Is(err, ErrDamaged) || !errors.As(err, &damage) || damage.Error() == "" {
			t.Fatalf("damage was not found: %v", err)
		}
		if !bytes.HasPrefix(data, got) {
			t.Fatal("bytes were handed on that are not as they were written")
		}
	}
}

func TestErrorsOfOthers(t *testing.T) {
	boom := errors.New("boom")
	if _, err := NewReader(iotest.ErrReader(boom)).Read(make([]byte, 1)); err != boom {
		t.Errorf("reading: %v, want what the reader said", err)
	}
	w := NewWriter(writerFunc(func([]byte) (int, error) { return 0, boom }))
	if _, err := w.Write(make([]byte, 2*maxPayload)); err != boom {
		t.Errorf("writing: %v, want what the writer said", err)
	}
	if err := w.Close(); err != boom {
		t.Errorf("closing: %v, want what the writer said", err)
	}
}

type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
