//go:build amd64 || arm64

package cpu

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// parking puts threads to sleep on the phase itself, by futex: a wake costs one system call and no detour
// through Go's scheduler, which would take two threads to wake one that is locked.
type parking struct{}

const (
	futexWait = 0 | 128 // FUTEX_WAIT | FUTEX_PRIVATE_FLAG
	futexWake = 1 | 128 // FUTEX_WAKE | FUTEX_PRIVATE_FLAG
)

// sleep returns when it is woken or the phase is another one; or for no reason at all.
func (*parking) sleep(state *atomic.Uint64, phase uint32) {
	// The phase is the first half of state: both architectures are little-endian. An error means a
	// signal or a new phase, and is as good as being woken.
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(state)), futexWait, uintptr(phase), 0, 0, 0)
}

func (*parking) wakeAll(state *atomic.Uint64) {
	_, _, _ = unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(state)), futexWake, 1<<31-1, 0, 0, 0)
}

// yieldCore lets another thread run, if one waits for the caller's core.
func yieldCore() { _, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
