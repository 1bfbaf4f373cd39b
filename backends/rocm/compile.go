//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
)

// resolve finds the kernels of all launches, and compiles and loads those that are missing. What does not compile is remembered of
// the ops that want it, all of them at once, so that who plans again need not do so for each.
func (r *recorder) resolve() error {
	failed, err := r.s.make(r.steps)
	if err != nil {
		return err
	}
	var first error
	m := &r.s.modules
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range r.steps {
		st := &r.steps[i]
		if err := failed[st.key]; err != nil {
			r.s.dev.blame(st.what, err)
			if first == nil {
				first = fmt.Errorf("rocm: %v: %w", st.node, err)
			}
		}
		st.kernel = m.all[st.key]
	}
	return first
}

// missing lists the kernels of steps that are not loaded, each once.
func (m *modules) missing(steps []step) []kernelKey {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []kernelKey
	seen := map[kernelKey]bool{}
	for i := range steps {
		key := steps[i].key
		if _, ok := m.all[key]; !ok && !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	return keys
}

// make compiles and loads what steps lack, and returns what went wrong with which kernels. One program at a time does so: another may
// lack the same.
func (s *session) make(steps []step) (failed map[kernelKey]error, err error) {
	m := &s.modules
	if len(m.missing(steps)) == 0 {
		return nil, nil
	}
	m.making.Lock()
	defer m.making.Unlock()
	keys := m.missing(steps)
	if m.headers == nil {
		if m.headers, err = headers(); err != nil {
			return nil, err
		}
	}
	failed = map[kernelKey]error{}
	units := s.dev.codes(keys, m.headers, failed)
	for i, key := range keys {
		if units[i].code == nil {
			continue
		}
		f, err := s.loadUnit(key, &units[i])
		if err != nil {
			failed[key] = &kernelError{key, err}
			continue
		}
		m.mu.Lock()
		m.all[key] = f
		m.mu.Unlock()
	}
	return failed, s.alive("loading kernels")
}

// loadUnit loads a kernel, and compiles one that the program brought and the runtime does not take.
func (s *session) loadUnit(key kernelKey, u *unit) (hip.Function, error) {
	f, err := s.load(key, u.code)
	if err != nil && u.embedded && s.alive("loading kernels") == nil {
		var none *helper
		if u.code, err = s.dev.code(&key, u, s.modules.headers, &none); err == nil {
			f, err = s.load(key, u.code)
		}
	}
	if err == nil {
		s.dev.loaded.add(u.name, u.code)
	}
	return f, err
}

// load loads a kernel's code.
func (s *session) load(key kernelKey, code []byte) (f hip.Function, err error) {
	err = s.with("loading kernel "+key.name, func() error {
		mod, err := s.rt.Load(code)
		if err != nil {
			return err
		}
		s.modules.mu.Lock()
		s.modules.loaded = append(s.modules.loaded, mod)
		s.modules.mu.Unlock()
		f, err = s.rt.Function(mod, "tenon_"+key.name)
		return err
	})
	return f, err
}

// compilers returns how many of n kernels are compiled at a time, and whether by processes: each of these takes some time to start. In one
// process little is gained by more threads: from version 6 on the compiler takes locks around most of its work, and before it is not
// safe for several at all. Sources: ROCm-CompilerSupport issues 27 and 57, HIP issue 3826.
func compilers(major, n int) (workers int, processes bool) {
	workers = min(n/2, 8, runtime.GOMAXPROCS(0))
	if c := helperCommand.Load(); c != nil && len(*c) > 0 && workers > 1 {
		return workers, true
	}
	if major < 6 {
		return min(1, n), false
	}
	return min(4, n, runtime.GOMAXPROCS(0)), false
}

// codes returns the kernels with their code, as the program brings it, from the cache or compiled, and without it those that failed.
func (d *Device) codes(keys []kernelKey, headers map[string]string, failed map[kernelKey]error) []unit {
	units := make([]unit, len(keys))
	var fresh []int
	for i := range keys {
		u, err := d.unitOf(&keys[i], headers)
		if err != nil {
			failed[keys[i]] = &kernelError{keys[i], err}
			continue
		}
		u.code = embeddedCode(u.name)
		if u.embedded = u.code != nil; !u.embedded {
			u.code = readCode(u.file)
		}
		if units[i] = u; u.code == nil {
			fresh = append(fresh, i)
		}
	}
	var mu sync.Mutex // guards failed and done, and calls progress
	done := 0
	tell := func(i int, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed[keys[i]] = &kernelError{keys[i], err}
		}
		if done++; i < 0 {
			done = 0
		}
		if f := d.progress.Load(); f != nil && *f != nil && len(fresh) > 0 {
			(*f)(done, len(fresh))
		}
	}
	tell(-1, nil)
	next := make(chan int)
	var all sync.WaitGroup
	workers, processes := compilers(d.rt.Major, len(fresh))
	for range workers {
		all.Go(func() {
			var h *helper
			if processes {
				h = startHelper()
			}
			for i := range next {
				var err error
				units[i].code, err = d.code(&keys[i], &units[i], headers, &h)
				tell(i, err)
			}
			if h != nil {
				h.stop()
			}
		})
	}
	for _, i := range fresh {
		next <- i
	}
	close(next)
	all.Wait()
	return units
}

// OnCompile has progress called while kernels are compiled: that takes some seconds when a model first runs on a card. It is called by one
// goroutine at a time, with 0 done first.
func (d *Device) OnCompile(progress func(done, total int)) { d.progress.Store(&progress) }

var _ backends.KernelCompiler = (*Device)(nil)

// unit is a kernel's source with its options, and where its code is kept.
type unit struct {
	source  string
	options []string
	name    string // among embedded ones
	file    string // in the cache, or ""

	code     []byte
	embedded bool // that is where code is from
}

func (d *Device) unitOf(key *kernelKey, headers map[string]string) (u unit, err error) {
	if u.source, u.options, err = key.unit(); err == nil {
		u.name = codeName(key.name, d.phys.Arch, u.source, headers, u.options)
		u.file = d.cacheFile(key.name, u.source, headers, u.options)
	}
	return u, err
}

// code compiles a kernel for the device, by a process if there is one, and keeps it in the cache. A process that fails is ended.
func (d *Device) code(key *kernelKey, u *unit, headers map[string]string, h **helper) (code []byte, err error) {
	done := false
	if *h != nil {
		j := job{Major: d.rt.Major, Name: key.name + ".hip", Source: u.source, Headers: headers, Arch: d.phys.Arch, Options: u.options}
		if code, err, done = (*h).compile(j); !done {
			(*h).stop()
			*h = nil
		} else if err != nil {
			err = fmt.Errorf("rocm: %w", err)
		}
	}
	if !done {
		code, err = compile(d.rt, key.name, u.source, headers, d.phys.Arch, u.options)
	}
	switch {
	case err != nil:
		return nil, err
	case len(code) == 0:
		return nil, errors.New("rocm: the compiler returned no code")
	}
	writeCode(u.file, code)
	return code, nil
}

// compile compiles a source.
func compile(rt *hip.Runtime, name, source string, headers map[string]string, arch string, options []string) ([]byte, error) {
	code, err := rt.Compile(name+".hip", source, headers, arch, options)
	if err != nil {
		return nil, fmt.Errorf("rocm: %w", err)
	}
	return code, nil
}
