// Package sim simulates devices, so that questions about several devices can be asked on a machine that
// has none: where an op runs, what is copied, what happens when memory ends or a driver fails.
//
// A Device computes with the CPU backend, bit for bit as it does, and is in everything else what its
// Config says: its owner, the ops and types that it supports, its kinds of memory and their size, what a
// copy costs, and whether work is done before Submit returns. Faults make it fail on command. A set of
// devices has a text form, see Parse, and NewMachine gives them one clock.
//
// The default memory of a device cannot be addressed by the host, as that of a graphics card cannot, so
// that everything between devices is copied. Memory lies outside the Go heap unless Config.Heap asks for
// it, and belongs to whoever allocated it, until Close. A buffer that is closed while a submitted program
// still uses it stays in place until that is done; a program that is submitted over a closed buffer is
// refused. Nothing sleeps unless the clock is a real one: what time the work would take is counted.
//
// All methods of Device, Machine, Clock and of buffers may be called concurrently as their contracts in
// packages backends and buffer say.
package sim
