package tensor_test

import (
	"math"
	"testing"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

func TestBind(t *testing.T) {
	mem, err := buffer.NewHost(buffer.Owner{Backend: "CPU", Device: "CPU"}, 0).Alloc(256)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	w := leaf(tensor.Weight, tensor.F32, 8, 4) // 128 bytes
	w.Name = "blk.0.w"
	if w.Storage.Bound() {
		t.Error("a new leaf is bound")
	}
	for _, offset := range []int64{0, 64, 128} {
		if err := w.Bind(mem, offset); err != nil {
			t.Errorf("offset %d: %v", offset, err)
		}
		if !w.Storage.Bound() || w.Storage != (tensor.Storage{Buffer: mem, Offset: offset}) {
			t.Errorf("bound to %+v", w.Storage)
		}
	}
	last := w.Storage
	for _, offset := range []int64{-1, 129, 256, 257, 1 << 62, math.MaxInt64, math.MinInt64} {
		wantError(t, w.Bind(mem, offset), tensor.ErrBind, `"blk.0.w"`, "128 bytes", "256")
	}
	if w.Storage != last {
		t.Error("a refused place was kept")
	}
	b := tensor.NewBuilder()
	wantError(t, b.Name("y", b.SiLU(f32(8))).Bind(mem, 0), tensor.ErrBind, `"y"`, "Unary")
	if err := leaf(tensor.Cache, tensor.F32, 8, 0).Bind(mem, 256); err != nil {
		t.Errorf("an empty leaf at the end: %v", err)
	}
}

func TestRoles(t *testing.T) {
	for role, want := range map[tensor.Role]string{
		tensor.Node: "node", tensor.Weight: "weight", tensor.Input: "input", tensor.Cache: "cache",
	} {
		if role.String() != want {
			t.Errorf("%q, want %q", role, want)
		}
	}
}
