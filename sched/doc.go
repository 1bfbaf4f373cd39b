// Package sched places the nodes of a graph on devices, plans their memory, and runs them.
//
// NewPlan is a pure function from a graph, devices and options to a Plan: the device of every node and
// the reason, the splits, the copies between them in bytes, and the exact memory of each device. A Plan
// can be printed, compared and tested without running; the same arguments give the same Plan. What
// cannot run is an error of NewPlan, a *PlacementError, and never of the run.
//
// An Exec runs a Plan, many times. Its tensors lie in a Memory, which several Execs share as long as
// they do not run at the same time; weights and caches stay where they are bound and belong to whoever
// bound them. An Exec compiles one program for each split and does not allocate on the Go heap once it
// runs.
//
// NewPlan may be called concurrently, and a Plan read by any number of goroutines. A Memory and all of
// its Execs belong to one goroutine at a time.
package sched
