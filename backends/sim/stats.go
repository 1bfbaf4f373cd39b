package sim

import (
	"sync"
	"time"
)

// Stats says what a device has done since it was made or its statistics were last reset.
type Stats struct {
	Allocs     int64 // that succeeded, of all kinds of memory; imports do not count
	AllocBytes int64 // by them
	Live       int64 // bytes allocated and not yet closed
	Peak       int64 // the most that Live has been
	Buffers    int64 // open now, imported ones included

	Reads     Count // copies to the host
	Writes    Count // copies from the host
	Transfers Count // copies within the device, and from memory that it reads where it lies

	Compiles int64
	Programs int64 // compiled and not yet closed
	Submits  int64 // that were accepted
	Nodes    int64 // in them

	// Busy is how long copies and submitted work have taken by the device's costs. It is counted when
	// they are asked for.
	Busy time.Duration
}

// Count is a number of copies and the bytes that they have moved. What the host does with the bytes of
// mapped memory is no copy of the device.
type Count struct{ N, Bytes int64 }

// stats guards a Stats.
type stats struct {
	mu sync.Mutex
	Stats
}

func (s *stats) allocated(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Allocs++
	s.AllocBytes += n
	s.Live += n
	s.Peak = max(s.Peak, s.Live)
}

func (s *stats) freed(n int64) {
	s.mu.Lock()
	s.Live -= n
	s.mu.Unlock()
}

func (s *stats) opened(n int64) {
	s.mu.Lock()
	s.Buffers += n
	s.mu.Unlock()
}

// count adds a copy of n bytes to c, one of s.
func (s *stats) count(c *Count, n int64) {
	s.mu.Lock()
	c.N++
	c.Bytes += n
	s.mu.Unlock()
}

func (s *stats) compiled(programs int64) {
	s.mu.Lock()
	s.Compiles += max(0, programs)
	s.Programs += programs
	s.mu.Unlock()
}

func (s *stats) submitted(nodes int) {
	s.mu.Lock()
	s.Submits++
	s.Nodes += int64(nodes)
	s.mu.Unlock()
}

// Stats returns what the device has done.
func (d *Device) Stats() Stats {
	d.stats.mu.Lock()
	defer d.stats.mu.Unlock()
	s := d.stats.Stats
	s.Busy = d.line.spent()
	return s
}

// ResetStats sets to 0 what Stats counts. What is live, open or compiled stays counted.
func (d *Device) ResetStats() {
	d.stats.mu.Lock()
	defer d.stats.mu.Unlock()
	s := &d.stats.Stats
	*s = Stats{Live: s.Live, Peak: s.Live, Buffers: s.Buffers, Programs: s.Programs}
	d.line.forget()
}
