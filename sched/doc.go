// Package sched places the nodes of a graph on devices, plans their memory, and runs them.
//
// NewPlan is a pure function from a graph, devices and options to a Plan: the device of every node and
// the reason, the splits, the copies between them in bytes, and the exact memory of each device. A Plan
// can be printed, compared and tested without running; the same arguments give the same Plan. What
// cannot run is an error of NewPlan, a *PlacementError, and never of the run.
//
// Weights and caches attract the ops that read them, and are never moved: a weight is copied only where
// its owner refuses the op, whole and in each run. That holds for the experts of MatMulID too: which of
// them a run uses is known only on the device that has chosen them, and to ask it would stop the run in
// its middle and make the copies of a plan differ from run to run. Pins put experts on a device that can
// run them instead, so that only activations cross.
//
// A tensor is copied once for all nodes of a device that read it, for as long as it does not change; of a
// view only the bytes that it spans. Inputs are written to each device that reads them. A copy is made as
// soon as nothing that still computes uses either end, so that it overlaps the work of other devices.
//
// Fusion comes after placement and changes nothing about it: nodes that follow each other on one device are
// looked at for the patterns that package backends lists, and the device is asked whether it has one kernel for
// them. Results inside such a group get no memory. It is never formed where one of them is read elsewhere, and
// Options.NoFusion turns any of it off.
//
// An Exec runs a Plan, many times. Its tensors lie in a Memory, which several Execs share as long as
// they do not run at the same time; weights and caches stay where they are bound and belong to whoever
// bound them. An Exec compiles one program for each split and does not allocate on the Go heap once it
// runs.
//
// NewPlan may be called concurrently, and a Plan read by any number of goroutines. A Memory and all of
// its Execs belong to one goroutine at a time.
package sched
