//go:build !purego

package cpu

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// The kernel lets a process use the registers of tiles after it has asked for them, once.
// Source: Documentation/arch/x86/xstate.rst of Linux.
const (
	archReqXcompPerm = 0x1023
	xfeatureTileData = 18
)

// amxPermission asks for tiles and returns why they were refused, or "".
var amxPermission = sync.OnceValue(func() string {
	_, _, errno := unix.RawSyscall(unix.SYS_ARCH_PRCTL, archReqXcompPerm, xfeatureTileData, 0)
	if errno != 0 {
		return fmt.Sprintf("the kernel refuses AMX tiles: %v", errno)
	}
	return ""
})
