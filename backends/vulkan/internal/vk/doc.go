// Package vk is the little of Vulkan that the backend uses: a loader, devices, memory, pipelines, recorded
// commands and one timeline.
//
// It stands on a binding that has Vulkan 1.0 and frees the memory of struct slices under the collector's
// hands. So the binding gives types, handles and what runs once, under a guard that holds the collector off (see
// held); functions beyond 1.0, everything with slices of structs that would run often, and everything
// that runs per submit are calls of our own in calls.c, over C structs of the specification (abi.h).
//
// A Device and what it makes may be used by several goroutines, except that Submit, and recording into
// buffers of one Pool, are for one goroutine at a time; the caller locks.
package vk
