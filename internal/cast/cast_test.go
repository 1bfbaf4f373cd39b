package cast

import (
	"encoding/binary"
	"slices"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	v := []int32{1, -2, 1 << 30}
	b := Bytes(v)
	if len(b) != 12 || int32(binary.LittleEndian.Uint32(b[4:])) != -2 {
		t.Fatalf("% x", b)
	}
	b[0] = 7 // the same memory
	if v[0] != 7 || !slices.Equal(Slice[int32](b), v) {
		t.Errorf("%v from % x", v, b)
	}
	if got := Slice[int32](b[:11]); len(got) != 2 {
		t.Errorf("%d whole numbers in 11 bytes", len(got))
	}
	if Bytes[float64](nil) != nil || len(Slice[float32](nil)) != 0 || len(Slice[int64](b[:7])) != 0 {
		t.Error("nothing became something")
	}
}
