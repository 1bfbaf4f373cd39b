//go:build invariants

package mmap

import (
	"errors"
	"sync"
)

// With the build tag invariants freed anonymous memory is filled with ones, which read as NaN in every
// type of float, and stays mapped for a while: who uses it after Close gets wrong numbers that show,
// and not numbers that were right a moment ago, or another owner's.
const (
	poison     = 0xff
	poisonMost = 64 << 20 // bytes of one mapping that are filled
	heldMost   = 64 << 20 // bytes that stay mapped
)

// freed is the memory that is still mapped, the oldest first.
var freed struct {
	sync.Mutex
	held  []held
	bytes int
}

type held struct {
	data    []byte
	release func([]byte) error
}

// retire returns what gives memory back in place of release.
func retire(release func([]byte) error) func([]byte) error {
	return func(data []byte) error {
		filled := data[:min(len(data), poisonMost)]
		for i := range filled {
			filled[i] = poison
		}
		if len(data) > heldMost || release == nil {
			if release == nil {
				return nil
			}
			return release(data)
		}
		freed.Lock()
		defer freed.Unlock()
		freed.held = append(freed.held, held{data, release})
		freed.bytes += len(data)
		var errs []error
		for freed.bytes > heldMost {
			oldest := freed.held[0]
			freed.held = freed.held[1:]
			freed.bytes -= len(oldest.data)
			errs = append(errs, oldest.release(oldest.data))
		}
		return errors.Join(errs...)
	}
}
