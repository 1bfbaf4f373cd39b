//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
	"github.com/tenon-go/tenon/internal/hipemu"
)

// probeKernel compiles and launches a kernel with a pointer to words that it may read and write, and returns them, or the error.
func probeKernel(t *testing.T, arch, body string, grid, block uint32, words []uint32) ([]uint32, error) {
	t.Helper()
	hipemu.Use(t, hipemu.Options{Devices: arch})
	rt, err := hip.Open()
	if err != nil {
		t.Fatal(err)
	}
	h, err := headers()
	if err != nil {
		t.Fatal(err)
	}
	source := "#include \"common.h\"\nstruct Params {\n\tu32* p;\n\tFN void run() {\n" + body + "\n\t}\n};\nKERNEL(probe)\n"
	code, err := rt.Compile("probe.hip", source, h, arch, append(append([]string{}, compileOptions...), fmt.Sprintf("-DLOCAL=%d", block)))
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(rt.Enter(0))
	defer rt.Leave()
	m, err := rt.Load(code)
	must(err)
	f, err := rt.Function(m, "tenon_probe")
	must(err)
	host, err := rt.HostMalloc(int64(4 * len(words)))
	must(err)
	s, err := rt.NewStream()
	must(err)
	mem := hip.Bytes(host, int64(4*len(words)))
	for i, w := range words {
		binary.LittleEndian.PutUint32(mem[4*i:], w)
	}
	l := hip.Launch{Kernel: f, Grid: [3]uint32{grid, 1, 1}, Block: block, Params: []uint64{uint64(host)}}
	var a hip.Args
	if err := rt.Launch(&a, s, &l); err != nil {
		return nil, err
	}
	out := make([]uint32, len(words))
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(mem[4*i:])
	}
	return out, rt.Synchronize(s)
}

// What is wrong in a kernel is told, with the kernel's name and what it did.
func TestEmulatorNotices(t *testing.T) {
	for name, x := range map[string]struct {
		body, want string
		block      uint32
	}{
		"different barriers":  {"if (threadIdx.x < 32) __syncthreads();\n else\n __syncthreads();", "barrier", 64},
		"an absent thread":    {"if (LANE < 16) p[0] = u32(__shfl(7, 20));", "not there", 32},
		"a thread that ended": {"if (LANE == 3) return;\n p[LANE] = u32(__shfl_xor(int(LANE), 1));", "not there", 32},
		"outside memory":      {"p[256] = 1;", "signal 11", 32},
		"just behind memory":  {"p[17 + LANE] = 1;", "bytes into memory of 64", 1},
		"division by zero":    {"p[0] = 7u / p[1];", "signal 8", 1},
		"a stack's end":       {"volatile char room[1 << 20];\n room[0] = room[1000] = char(p[0]);\n p[1] = u32(room[threadIdx.x]);", "signal 11", 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := probeKernel(t, "gfx1030", x.body, 1, x.block, make([]uint32, 16))
			if err == nil || !strings.Contains(err.Error(), "tenon_probe") || !strings.Contains(err.Error(), x.want) {
				t.Errorf("got %v, want %q", err, x.want)
			}
		})
	}
}

// Barriers, shuffles and shared memory do what they do on a card, for both sizes of waves.
func TestEmulatorCollectives(t *testing.T) {
	body := `
		__shared__ u32 tile[LOCAL];
		u32 i = threadIdx.x;
		tile[i] = i * i;
		__syncthreads();
		u32 other = tile[LOCAL - 1 - i];
		int up = __shfl_up(int(i), 3), down = __shfl_down(int(i), 5), one = __shfl(int(i), 9), x = __shfl_xor(int(i), int(WAVE) / 2);
		u64 odd = __ballot(i & 1);
		__syncthreads();
		u32* o = p + 6 * (blockIdx.x * LOCAL + i);
		o[0] = other, o[1] = u32(up), o[2] = u32(down), o[3] = u32(one), o[4] = u32(x), o[5] = u32(odd >> 31);
		if (i % 2 == 0) atomicAdd(p + 6 * 2 * LOCAL, 1u);`
	const local, blocks = 192, 2
	for _, arch := range waves {
		wave := uint32(hip.WaveOf(arch))
		got, err := probeKernel(t, arch, body, blocks, local, make([]uint32, 6*blocks*local+1))
		if err != nil {
			t.Fatal(err)
		}
		for b := range uint32(blocks) {
			for i := range uint32(local) {
				lane, base := i%wave, i/wave*wave
				up, down, odd := i, i, uint32(1)
				if lane >= 3 {
					up = i - 3
				}
				if lane+5 < wave {
					down = i + 5
				}
				if wave == 64 {
					odd = 0x55555555 // bits 31 to 62 of what ends in ...1010
				}
				want := [6]uint32{(local - 1 - i) * (local - 1 - i), up, down, base + 9, i ^ wave/2, odd}
				if o := [6]uint32(got[6*(b*local+i):]); o != want {
					t.Fatalf("%s, block %d, thread %d: got %v, want %v", arch, b, i, o, want)
				}
			}
		}
		if n := got[len(got)-1]; n != blocks*local/2 {
			t.Errorf("%s: %d threads were counted", arch, n)
		}
	}
}

// Shared memory is garbage at first: nobody gets zeros for nothing.
func TestEmulatorGarbage(t *testing.T) {
	got, err := probeKernel(t, "gfx1030", "__shared__ u32 tile[LOCAL]; p[threadIdx.x] = tile[threadIdx.x];", 1, 32, make([]uint32, 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range got {
		if !math.IsNaN(float64(math.Float32frombits(v))) {
			t.Fatalf("got %x", got)
		}
	}
}

// TestEmulatorMatrix multiplies by each matrix instruction as its documents lay the operands out: here written by where the elements of a matrix
// go, and in matrix.h by what a lane has.
func TestEmulatorMatrix(t *testing.T) {
	const types = `
		typedef float f4 __attribute__((__vector_size__(16)));
		typedef float f8 __attribute__((__vector_size__(32)));
		typedef int i4 __attribute__((__vector_size__(16)));
		typedef int i8_ __attribute__((__vector_size__(32)));
		typedef int i2 __attribute__((__vector_size__(8)));
		typedef _Float16 h4 __attribute__((__vector_size__(8)));
		typedef _Float16 h8 __attribute__((__vector_size__(16)));
		typedef _Float16 h16 __attribute__((__vector_size__(32)));
		// Element r, c of A is r - 2c modulo 7, less 3, and of B 3r + c modulo 5, less 2.
		auto A = [](u32 r, u32 c) { return int((r + 12 * 7 - 2 * c % 84) % 7) - 3; };
		auto B = [](u32 r, u32 c) { return int((3 * r + c) % 5) - 2; };
		u32 l = threadIdx.x;
	`
	half := func(kind string, n, k int, call, dst string) string {
		return fmt.Sprintf(`%s a, b;
		for (u32 e = 0; e < %d; e++) { u32 k = %s; a[e] = (_Float16)A(l %% 16, k); b[e] = (_Float16)B(k, l %% 16); }
		%s`, kind, n, []string{"e", "4 * (l / 16) + e", "8 * (l / 16) + e"}[k], call+dst)
	}
	bytes := func(kind string, n, k int, call, dst string) string {
		return fmt.Sprintf(`union { %s v; i8 e[%d]; } a, b;
		for (u32 e = 0; e < %d; e++) { u32 k = %s; a.e[e] = i8(A(l %% 16, k)); b.e[e] = i8(B(k, l %% 16)); }
		%s`, kind, n, n, []string{"e", "4 * (l / 16) + e", "8 * (l / 16) + e"}[k], call+dst)
	}
	store := func(n int, row string) string {
		return fmt.Sprintf("\nfor (u32 e = 0; e < %d; e++) p[16 * (%s) + l %% 16] = u32(int(c[e]));", n, row)
	}
	cdna, rdna3, rdna4 := store(4, "4 * (l / 16) + e"), store(8, "2 * e + l / 16"), store(8, "8 * (l / 16) + e")
	for name, x := range map[string]struct {
		arch  string
		depth int
		body  string
	}{
		"mfma f16":           {"gfx90a", 16, half("h4", 4, 1, "f4 c = {}; c = __builtin_amdgcn_mfma_f32_16x16x16f16(a, b, c, 0, 0, 0);", cdna)},
		"mfma i8":            {"gfx908", 16, bytes("int", 4, 1, "i4 c = {}; c = __builtin_amdgcn_mfma_i32_16x16x16i8(a.v, b.v, c, 0, 0, 0);", cdna)},
		"mfma i8 of gfx942":  {"gfx942", 32, bytes("long", 8, 2, "i4 c = {}; c = __builtin_amdgcn_mfma_i32_16x16x32_i8(a.v, b.v, c, 0, 0, 0);", cdna)},
		"wmma f16":           {"gfx1100", 16, half("h16", 16, 0, "f8 c = {}; c = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(a, b, c);", rdna3)},
		"wmma i8":            {"gfx1100", 16, bytes("i4", 16, 0, "i8_ c = {}; c = __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32(true, a.v, true, b.v, c, false);", rdna3)},
		"wmma f16 of gfx12":  {"gfx1201", 16, half("h8", 8, 2, "f8 c = {}; c = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32_gfx12(a, b, c);", rdna4)},
		"wmma i8 of gfx1201": {"gfx1201", 16, bytes("i2", 8, 2, "i8_ c = {}; c = __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32_gfx12(true, a.v, true, b.v, c, false);", rdna4)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := probeKernel(t, x.arch, types+x.body, 1, uint32(hip.WaveOf(x.arch)), make([]uint32, 256))
			if err != nil {
				t.Fatal(err)
			}
			for i := range 16 {
				for j := range 16 {
					want := 0
					for k := range x.depth {
						want += ((i+84-2*k%84)%7 - 3) * ((3*k+j)%5 - 2)
					}
					if v := int(int32(got[16*i+j])); v != want {
						t.Fatalf("element %d,%d is %d, want %d", i, j, v, want)
					}
				}
			}
		})
	}
}
