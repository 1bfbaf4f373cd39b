//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package mmap

// adviseHuge does nothing: these systems choose the page size themselves.
func adviseHuge([]byte) {}
