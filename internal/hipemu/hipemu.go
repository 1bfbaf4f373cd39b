//go:build linux && (amd64 || arm64) && (cgo || rocm)

package hipemu

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/ebitengine/purego"
)

// Demand is the environment variable by which CI says that the emulator must work: without a C++ compiler tests skip otherwise, and
// long ones always do.
const Demand = "TENON_DEMAND_HIPEMU"

// Demanded reports whether Demand is set, and All whether it asks for more than there is time for in CI.
func Demanded() bool { return os.Getenv(Demand) != "" }

// All reports whether Demand is "all".
func All() bool { return os.Getenv(Demand) == "all" }

// Options choose what is emulated. The zero Options is one gfx1030 of a runtime 7.1.
type Options struct {
	Devices string // as in HIPEMU_DEVICES: "arch[@pci][/MiB],..."
	Version int    // of the runtime: 70100000 is 7.1.0
	Threads int    // that run blocks; 0 is 2
	Async   bool   // what streams get is done later
	Reverse bool   // threads of a block run in the other order
}

// Emulator is one that the test's process has opened. Each has state of its own.
type Emulator struct {
	Path string // of the library

	set   func(name, value string)
	fail  func(call string, code, skip, times int32)
	count func(what string) int64
	said  func() string
}

// Available reports whether there is what Use needs.
func Available() bool {
	_, err := exec.LookPath(compiler())
	return err == nil
}

// Missing skips a test for want of something, or fails it where the emulator is demanded.
func Missing(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if Demanded() {
		tb.Fatalf(Demand+" is set, and "+format, args...)
	}
	tb.Skipf(format, args...)
}

// Use makes a new emulator the runtime that is found first until the test ends. It skips the test where there is no C++
// compiler, or fails it where the emulator is demanded.
func Use(tb testing.TB, opt Options) *Emulator {
	tb.Helper()
	if _, err := exec.LookPath(compiler()); err != nil {
		Missing(tb, "no C++ compiler for the emulator: %v", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		Missing(tb, "no folder for the emulator: %v", err)
	}
	cache = filepath.Join(cache, "tenon-test", "hipemu")
	root := tb.TempDir()
	e := &Emulator{Path: filepath.Join(root, "lib", "libamdhip64.so."+strconv.Itoa(cmp.Or(opt.Version, 70100000)/10_000_000))}
	// A copy is another library to the loader, with state of its own.
	library, err := os.ReadFile(built(tb, cache))
	if err != nil {
		tb.Fatal(err)
	}
	write(tb, e.Path, library)
	e.open(tb)
	e.set("HIPEMU_CACHE", cmp.Or(os.Getenv("HIPEMU_CACHE"), cache))
	e.set("HIPEMU_DEVICES", cmp.Or(opt.Devices, "gfx1030"))
	e.set("HIPEMU_VERSION", strconv.Itoa(cmp.Or(opt.Version, 70100000)))
	e.set("HIPEMU_THREADS", strconv.Itoa(cmp.Or(opt.Threads, 2)))
	if opt.Async {
		e.set("HIPEMU_ASYNC", "1")
	}
	if opt.Reverse {
		e.set("HIPEMU_ORDER", "reverse")
	}
	tb.Setenv("ROCM_PATH", root)
	return e
}

func (e *Emulator) open(tb testing.TB) {
	tb.Helper()
	h, err := purego.Dlopen(e.Path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		tb.Fatal(err)
	}
	purego.RegisterLibFunc(&e.set, h, "hipemu_set")
	purego.RegisterLibFunc(&e.fail, h, "hipemu_fail")
	purego.RegisterLibFunc(&e.count, h, "hipemu_count")
	purego.RegisterLibFunc(&e.said, h, "hipemu_said")
}

// Fail lets a call of HIP fail with a code, after it was called skip times more, and so many times: below 0 for ever. Code 0 ends that.
func (e *Emulator) Fail(call string, code, skip, times int) {
	e.fail(call, int32(code), int32(skip), int32(times))
}

// Count returns how many there are: device_bytes, host_bytes, allocations, streams, events, graphs, modules, programs, or launches so far.
func (e *Emulator) Count(what string) int64 { return e.count(what) }

// Said returns what the emulator has told last.
func (e *Emulator) Said() string { return e.said() }

func compiler() string { return cmp.Or(os.Getenv("CXX"), "g++") }

// built returns the emulator's library, and builds it where its sources are new.
func built(tb testing.TB, cache string) string {
	tb.Helper()
	dir := sources(tb)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		tb.Fatal(err)
	}
	slices.Sort(files)
	h := sha256.New()
	h.Write([]byte(compiler()))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		h.Write(text)
	}
	library := filepath.Join(cache, "emulator-"+hex.EncodeToString(h.Sum(nil)[:12])+".so")
	if _, err := os.Stat(library); err == nil {
		return library
	}
	tmp := tb.TempDir()
	if said, err := exec.Command(filepath.Join(dir, "build"), tmp).CombinedOutput(); err != nil {
		tb.Fatalf("building the emulator: %v\n%s", err, said)
	}
	text, err := os.ReadFile(filepath.Join(tmp, "lib", "libamdhip64.so.7"))
	if err != nil {
		tb.Fatal(err)
	}
	write(tb, library, text)
	return library
}

// write writes a file whole or not at all, for other tests look for it too.
func write(tb testing.TB, path string, text []byte) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "new-*")
	if err != nil {
		tb.Fatal(err)
	}
	_, err = f.Write(text)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the error before says more
		tb.Fatal(err)
	}
}

// sources returns the emulator's folder: it lies in the module of which the test is.
func sources(tb testing.TB) string {
	tb.Helper()
	at, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		dir := filepath.Join(at, "backends", "rocm", "testdata", "emulator")
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
		if at == filepath.Dir(at) {
			Missing(tb, "the emulator's sources are not here")
		}
		at = filepath.Dir(at)
	}
}
