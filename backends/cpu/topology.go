package cpu

import (
	"cmp"
	"io/fs"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// core is a physical core, or what a process may use of it.
type core struct {
	cpus     []int // logical processors
	node     int   // of memory
	capacity int   // relative to the others; larger is faster
}

// thisMachine is what this process may compute on, looked up once.
var thisMachine = sync.OnceValue(func() []core {
	return readCores(os.DirFS("/"), allowedCPUs())
})

// readCores returns the cores that the allowed processors are on, in the order of nodes. It reads
// what Linux tells about itself below root; what it does not tell leaves a processor to be a core of
// its own, on node 0, as fast as the rest.
func readCores(root fs.FS, allowed []int) []core {
	slow := map[int]bool{}
	if fast := readList(root, "sys/devices/cpu_core/cpus"); len(fast) > 0 { // hybrid x86
		for _, c := range readList(root, "sys/devices/cpu_atom/cpus") {
			slow[c] = true
		}
	}
	nodeOf := map[int]int{}
	for _, n := range readList(root, "sys/devices/system/node/online") {
		for _, c := range readList(root, "sys/devices/system/node/node"+strconv.Itoa(n)+"/cpulist") {
			nodeOf[c] = n
		}
	}
	var cores []core
	byFirst := map[int]int{} // index by the first sibling
	for _, c := range allowed {
		dir := "sys/devices/system/cpu/cpu" + strconv.Itoa(c)
		first := c
		if siblings := readList(root, dir+"/topology/thread_siblings_list"); slices.Contains(siblings, c) {
			first = siblings[0]
		}
		if i, ok := byFirst[first]; ok {
			cores[i].cpus = append(cores[i].cpus, c)
			continue
		}
		capacity := 1024
		if v, err := strconv.Atoi(readLine(root, dir+"/cpu_capacity")); err == nil && v > 0 { // big.LITTLE
			capacity = v
		} else if slow[c] {
			capacity = 512
		}
		byFirst[first] = len(cores)
		cores = append(cores, core{[]int{c}, nodeOf[c], capacity})
	}
	slices.SortStableFunc(cores, func(a, b core) int { return cmp.Compare(a.node, b.node) })
	return cores
}

// fastCores leaves out those that are much slower than the fastest: they would be late at every
// barrier with the last chunk that they took.
func fastCores(cores []core) []core {
	most := 0
	for _, c := range cores {
		most = max(most, c.capacity)
	}
	return slices.DeleteFunc(slices.Clone(cores), func(c core) bool { return 3*c.capacity < 2*most })
}

// defaultThreads is the number of workers of a device that asks for none: the fast cores that this
// process may use, once each, within GOMAXPROCS and the whole processors of its quota.
func defaultThreads() int {
	return threadsFor(thisMachine(), runtime.GOMAXPROCS(0), cpuQuota(os.DirFS("/")))
}

func threadsFor(cores []core, procs int, quota float64) int {
	n := procs
	if fast := len(fastCores(cores)); fast > 0 {
		n = min(n, fast)
	}
	if quota < float64(n) {
		n = int(quota)
	}
	return max(n, 1)
}

// workerMasks returns the processors that each of n workers is to stay on, or nil if that is no better
// than what the system does: on one node of equal cores. A worker is held to the fast cores of a node
// and not to one of them, so that a busy neighbour can be evaded. The first one, the submitter's thread,
// belongs to somebody else and is left alone.
func workerMasks(n int) [][]int { return masksFor(thisMachine(), n) }

func masksFor(cores []core, n int) [][]int {
	fast := fastCores(cores)
	isPlain := len(fast) == len(cores)
	for _, c := range fast {
		isPlain = isPlain && c.node == fast[0].node
	}
	if isPlain || n > len(fast) {
		return nil
	}
	byNode := map[int][]int{}
	for _, c := range fast {
		byNode[c.node] = append(byNode[c.node], c.cpus...)
	}
	masks := make([][]int, n)
	for i := range masks {
		masks[i] = byNode[fast[i*len(fast)/n].node] // every node gets its part of the workers
	}
	return masks
}

// readLine returns the only line of a file, or "".
func readLine(root fs.FS, name string) string {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// readList returns the numbers of a file like "0-3,8".
func readList(root fs.FS, name string) []int { return parseList(readLine(root, name)) }

func parseList(s string) []int {
	const most = 1 << 16 // of what a damaged list could ask for
	var list []int
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.Atoi(from)
		if err != nil {
			continue
		}
		b := a
		if isRange {
			if b, err = strconv.Atoi(to); err != nil {
				continue
			}
		}
		for ; 0 <= a && a <= b && len(list) < most; a++ {
			list = append(list, a)
		}
	}
	return list
}

// cpuQuota returns how many processors' time the control groups of this process allow it, +Inf where
// there is no limit. Groups are nested, and the tightest counts.
func cpuQuota(root fs.FS) float64 {
	quota := math.Inf(1)
	mounts := readLine(root, "proc/self/mountinfo")
	for line := range strings.Lines(readLine(root, "proc/self/cgroup")) {
		// ID:controllers:path; the controllers of version 2 are empty
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		isV2 := f[1] == ""
		if !isV2 && !slices.Contains(strings.Split(f[1], ","), "cpu") {
			continue
		}
		dir, path, ok := cgroupMount(mounts, isV2, f[2])
		for ok {
			quota = min(quota, groupQuota(root, strings.Trim(dir+path, "/"), isV2))
			if path == "" {
				break
			}
			path = path[:strings.LastIndexByte(path, '/')]
		}
	}
	return quota
}

// cgroupMount finds where the hierarchy that holds group is mounted, and group's path below that, which
// is empty or begins with a slash.
func cgroupMount(mounts string, isV2 bool, group string) (dir, path string, ok bool) {
	for line := range strings.Lines(mounts) {
		// ID parent device root mountpoint options... - type source super-options
		before, after, _ := strings.Cut(strings.TrimSpace(line), " - ")
		b, a := strings.Fields(before), strings.Fields(after)
		if len(b) < 5 || len(a) < 3 {
			continue
		}
		if isV2 != (a[0] == "cgroup2") || !isV2 && (a[0] != "cgroup" || !slices.Contains(strings.Split(a[2], ","), "cpu")) {
			continue
		}
		path = "/" + strings.Trim(group, "/")
		if below, has := strings.CutPrefix(path, strings.TrimSuffix(b[3], "/")); has {
			path = below
		}
		return b[4], strings.TrimSuffix(path, "/"), true
	}
	return "", "", false
}

// groupQuota reads the limit of one group.
func groupQuota(root fs.FS, dir string, isV2 bool) float64 {
	var limit, period string
	if isV2 {
		limit, period, _ = strings.Cut(readLine(root, dir+"/cpu.max"), " ")
	} else {
		limit, period = readLine(root, dir+"/cpu.cfs_quota_us"), readLine(root, dir+"/cpu.cfs_period_us")
	}
	l, err1 := strconv.ParseFloat(limit, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 != nil || err2 != nil || l <= 0 || p <= 0 { // "max", -1, or no such group
		return math.Inf(1)
	}
	return l / p
}
