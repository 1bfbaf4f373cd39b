package cpu

import "golang.org/x/sys/unix"

// allowedCPUs returns the processors that this process may run on.
func allowedCPUs() []int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	var list []int
	for c, left := 0, set.Count(); left > 0; c++ {
		if set.IsSet(c) {
			list = append(list, c)
			left--
		}
	}
	return list
}

// pinThread keeps the calling thread on the given processors. Where the system refuses, it runs anywhere.
func pinThread(cpus []int) {
	var set unix.CPUSet
	for _, c := range cpus {
		set.Set(c)
	}
	_ = unix.SchedSetaffinity(0, &set)
}
