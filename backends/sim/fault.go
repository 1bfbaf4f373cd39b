package sim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/tenon-go/tenon/backends"
)

// What a simulated device says beside what any device says.
var (
	// ErrInjected is matched by errors whose only cause is a Fault.
	ErrInjected = errors.New("fault on command")
	// ErrPlanOnly is matched by errors about the missing bytes of Config.PlanOnly.
	ErrPlanOnly = errors.New("memory is for planning only")
)

// LostError says what was asked of a device that is lost, or of what a lost device has left. It matches
// backends.ErrDeviceLost.
type LostError struct {
	Device string
	Call   string // such as "submit" or "read"
}

// Error returns one line.
func (e *LostError) Error() string {
	return fmt.Sprintf("sim: %s of %s: %v", e.Call, e.Device, backends.ErrDeviceLost)
}

// Unwrap returns backends.ErrDeviceLost.
func (e *LostError) Unwrap() error { return backends.ErrDeviceLost }

// FaultError says which call has failed because of which fault. It matches ErrInjected.
type FaultError struct {
	Device string
	Call   string
	Fault  Fault
}

// Error returns one line.
func (e *FaultError) Error() string {
	return fmt.Sprintf("sim: %s of %s: %v: %v", e.Call, e.Device, ErrInjected, e.Fault)
}

// Unwrap returns ErrInjected.
func (e *FaultError) Unwrap() error { return ErrInjected }

// Fault is something that goes wrong on command. The zero Fault is none. Those that count are used up
// when they strike; the others stay until Device.Heal.
type Fault struct {
	kind faultKind
	n    int64  // which of the calls to come, 1 for the next; or bytes
	op   string // name of an op kind, or "" for every op
	bug  Bug
}

type faultKind uint8

const (
	noFault faultKind = iota
	failAlloc
	endMemory
	failSubmit
	loseAtSubmit
	hangAtSubmit
	failCopy
	loseAtCopy
	corruptCopy
	failCompile
	breakOp
	breakReads
)

// faultNames are the words of the text form, by kind.
var faultNames = [...]string{
	failAlloc:    "fail-alloc",
	endMemory:    "end-memory",
	failSubmit:   "fail-submit",
	loseAtSubmit: "lose-at-submit",
	hangAtSubmit: "hang-at-submit",
	failCopy:     "fail-copy",
	loseAtCopy:   "lose-at-copy",
	corruptCopy:  "corrupt-copy",
	failCompile:  "fail-compile",
	breakOp:      "break-op",
	breakReads:   "break-reads",
}

// FailAlloc makes the n-th allocation from now on fail, of any of the device's memory: a
// *buffer.AllocError.
func FailAlloc(n int) Fault { return Fault{kind: failAlloc, n: int64(n)} }

// EndMemory makes every allocation fail that would take the device's default memory beyond the given
// number of bytes, as if others had taken the rest: a *buffer.AllocError. It stays.
func EndMemory(bytes int64) Fault { return Fault{kind: endMemory, n: bytes} }

// FailSubmit makes the n-th submit from now on fail with a *FaultError and without running anything.
func FailSubmit(n int) Fault { return Fault{kind: failSubmit, n: int64(n)} }

// LoseAtSubmit makes the device lost at the n-th submit from now on. Everything that is asked of it from
// then on is a *LostError, but for Close, until Device.Reopen; what it had allocated and compiled before
// stays lost.
func LoseAtSubmit(n int) Fault { return Fault{kind: loseAtSubmit, n: int64(n)} }

// LoseAtCopy is LoseAtSubmit at the n-th copy from or to one of the device's buffers.
func LoseAtCopy(n int) Fault { return Fault{kind: loseAtCopy, n: int64(n)} }

// HangAtSubmit makes the work of the n-th submit from now on hang until the context of its Submit, or of
// a Wait for it, is cancelled, or the program or the device is closed.
func HangAtSubmit(n int) Fault { return Fault{kind: hangAtSubmit, n: int64(n)} }

// FailCopy makes the n-th copy from or to one of the device's buffers fail with a *FaultError. It moves
// nothing.
func FailCopy(n int) Fault { return Fault{kind: failCopy, n: int64(n)} }

// CorruptCopy flips a bit of what the n-th copy from or to one of the device's buffers moves.
func CorruptCopy(n int) Fault { return Fault{kind: corruptCopy, n: int64(n)} }

// FailCompile makes programs with an op of the given kind, such as "MatMul", fail to compile although
// the device supports it: a *FaultError. Without a name it is every op. It stays.
func FailCompile(op string) Fault { return Fault{kind: failCompile, op: op} }

// Break makes programs that are compiled from now on compute ops of the given kind wrongly, and says
// nothing: what a test of tests needs. Without a name it is every op. It stays.
func Break(op string, b Bug) Fault { return Fault{kind: breakOp, op: op, bug: b} }

// BreakReads makes reads and copies from the device's buffers not wait for work that was submitted
// before them. Only a device that is not Sync can tell. It stays.
func BreakReads() Fault { return Fault{kind: breakReads} }

// counts reports whether f strikes at the n-th of some calls.
func (f Fault) counts() bool {
	switch f.kind {
	case failAlloc, failSubmit, loseAtSubmit, hangAtSubmit, failCopy, loseAtCopy, corruptCopy:
		return true
	}
	return false
}

// String returns f as the text form has it.
func (f Fault) String() string {
	if f.kind == noFault || int(f.kind) >= len(faultNames) {
		return "no fault"
	}
	s := faultNames[f.kind]
	switch {
	case f.counts():
		return s + " " + strconv.FormatInt(f.n, 10)
	case f.kind == endMemory:
		return s + " " + formatSize(f.n)
	case f.kind == breakReads:
		return s
	}
	op := f.op
	if op == "" {
		op = "*"
	}
	s += " " + op
	if f.kind == breakOp {
		s += " " + f.bug.String()
	}
	return s
}

// check reports what f cannot be.
func (f Fault) check() error {
	switch {
	case f.kind == noFault || int(f.kind) >= len(faultNames):
		return errors.New("it is no fault")
	case f.counts() && f.n < 1:
		return fmt.Errorf("%v: the next call is number 1", f)
	case f.kind == endMemory && f.n < 0:
		return fmt.Errorf("%v: the size is negative", f)
	case f.op != "" && !knownOp(f.op):
		return fmt.Errorf("%v: there is no op %q", f, f.op)
	case f.kind == breakOp && (f.bug == noBug || f.bug >= numBugs):
		return fmt.Errorf("%v: there is no such bug", f)
	}
	return nil
}

// armed is a fault that waits.
type armed struct {
	Fault
	left int64 // calls until it strikes, 1 at the next
}

// faults are those of one device that have not struck yet.
type faults struct {
	mu   sync.Mutex
	list []armed
}

// strike counts a call that the given kinds are about, and returns the fault that strikes at it, or
// none. If several do, the first is the result and all are used up.
func (s *faults) strike(kinds ...faultKind) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	var hit Fault
	for i := 0; i < len(s.list); {
		f := &s.list[i]
		if slices.Contains(kinds, f.kind) {
			f.left--
			if f.left == 0 {
				if hit.kind == noFault {
					hit = f.Fault
				}
				s.list = slices.Delete(s.list, i, i+1)
				continue
			}
		}
		i++
	}
	return hit
}

// find returns the first fault of the given kind that is about op, or none.
func (s *faults) find(kind faultKind, op string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.list {
		if f.kind == kind && (f.op == "" || f.op == op) {
			return f.Fault
		}
	}
	return Fault{}
}

// Inject adds faults to those that wait already. It adds none if one of them cannot be, such as one with
// a count below 1 or about an op that there is not: ErrConfig.
func (d *Device) Inject(fs ...Fault) error {
	for _, f := range fs {
		if err := f.check(); err != nil {
			return fmt.Errorf("sim: a fault of device %q %w: %w", d.cfg.Name, ErrConfig, err)
		}
	}
	d.faults.mu.Lock()
	defer d.faults.mu.Unlock()
	for _, f := range fs {
		d.faults.list = append(d.faults.list, armed{f, f.n})
	}
	return nil
}

// Heal removes the faults that have not struck. It does not bring a lost device back; Reopen does.
func (d *Device) Heal() {
	d.faults.mu.Lock()
	d.faults.list = nil
	d.faults.mu.Unlock()
}

// Faults returns those that have not struck yet.
func (d *Device) Faults() []Fault {
	d.faults.mu.Lock()
	defer d.faults.mu.Unlock()
	var fs []Fault
	for _, f := range d.faults.list {
		fs = append(fs, f.Fault)
	}
	return fs
}
