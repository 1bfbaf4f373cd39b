//go:build !linux

package mmap

import "errors"

// Evict is not to be had here.
func Evict(string) error { return errors.ErrUnsupported }
