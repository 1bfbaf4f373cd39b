package cpu

import (
	"math"
	"reflect"
	"testing"
	"testing/fstest"
)

// tree makes a file system of pairs of name and content.
func tree(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, s := range files {
		m[name] = &fstest.MapFile{Data: []byte(s + "\n")}
	}
	return m
}

const cpuDir = "sys/devices/system/cpu/cpu"

// twoNodes is a machine of two sockets with two cores of two threads each.
var twoNodes = tree(map[string]string{
	"sys/devices/system/node/online":           "0-1",
	"sys/devices/system/node/node0/cpulist":    "0-1,4-5",
	"sys/devices/system/node/node1/cpulist":    "2-3,6-7",
	cpuDir + "0/topology/thread_siblings_list": "0,4",
	cpuDir + "4/topology/thread_siblings_list": "0,4",
	cpuDir + "1/topology/thread_siblings_list": "1,5",
	cpuDir + "5/topology/thread_siblings_list": "1,5",
	cpuDir + "2/topology/thread_siblings_list": "2,6",
	cpuDir + "6/topology/thread_siblings_list": "2,6",
	cpuDir + "3/topology/thread_siblings_list": "3,7",
	cpuDir + "7/topology/thread_siblings_list": "3,7",
})

// hybrid has two fast cores of two threads and two slow ones.
var hybrid = tree(map[string]string{
	"sys/devices/cpu_core/cpus":                "0-3",
	"sys/devices/cpu_atom/cpus":                "4-5",
	cpuDir + "0/topology/thread_siblings_list": "0-1",
	cpuDir + "1/topology/thread_siblings_list": "0-1",
	cpuDir + "2/topology/thread_siblings_list": "2-3",
	cpuDir + "3/topology/thread_siblings_list": "2-3",
	cpuDir + "4/topology/thread_siblings_list": "4",
	cpuDir + "5/topology/thread_siblings_list": "5",
})

// bigLittle has four slow cores, three middling ones and a fast one.
var bigLittle = tree(map[string]string{
	cpuDir + "0/cpu_capacity": "250", cpuDir + "1/cpu_capacity": "250", cpuDir + "2/cpu_capacity": "250",
	cpuDir + "3/cpu_capacity": "250", cpuDir + "4/cpu_capacity": "870", cpuDir + "5/cpu_capacity": "870",
	cpuDir + "6/cpu_capacity": "870", cpuDir + "7/cpu_capacity": "1024",
})

func TestTopology(t *testing.T) {
	for _, c := range []struct {
		name    string
		root    fstest.MapFS
		allowed []int
		procs   int
		quota   float64
		threads int
		masks   [][]int // of a team of that size
	}{
		{"nothing told", tree(nil), []int{0, 1, 2}, 3, math.Inf(1), 3, nil},
		{"nothing known", tree(nil), nil, 4, math.Inf(1), 4, nil},
		{"two nodes", twoNodes, []int{0, 1, 2, 3, 4, 5, 6, 7}, 8, math.Inf(1), 4, [][]int{{0, 4, 1, 5}, {0, 4, 1, 5}, {2, 6, 3, 7}, {2, 6, 3, 7}}},
		{"two workers, two nodes", twoNodes, []int{0, 1, 2, 3, 4, 5, 6, 7}, 2, math.Inf(1), 2, [][]int{{0, 4, 1, 5}, {2, 6, 3, 7}}},
		{"held to one node", twoNodes, []int{2, 3, 6, 7}, 4, math.Inf(1), 2, nil},
		{"held to two threads of a core", twoNodes, []int{1, 5}, 2, math.Inf(1), 1, nil},
		{"quota", twoNodes, []int{0, 1, 2, 3, 4, 5, 6, 7}, 8, 1.7, 1, nil},
		{"small quota", twoNodes, []int{0, 1}, 2, 0.3, 1, nil},
		{"hybrid", hybrid, []int{0, 1, 2, 3, 4, 5}, 6, math.Inf(1), 2, [][]int{{0, 1, 2, 3}, {0, 1, 2, 3}}},
		{"slow cores only", hybrid, []int{4, 5}, 2, math.Inf(1), 2, nil},
		{"big.LITTLE", bigLittle, []int{0, 1, 2, 3, 4, 5, 6, 7}, 8, math.Inf(1), 4, [][]int{{4, 5, 6, 7}, {4, 5, 6, 7}, {4, 5, 6, 7}, {4, 5, 6, 7}}},
	} {
		cores := readCores(c.root, c.allowed)
		n := threadsFor(cores, c.procs, c.quota)
		if n != c.threads {
			t.Errorf("%s: %d threads, want %d", c.name, n, c.threads)
			continue
		}
		masks := masksFor(cores, n)
		if len(masks) == 1 {
			masks = nil // nobody but the submitter
		}
		if !reflect.DeepEqual(masks, c.masks) {
			t.Errorf("%s: masks %v, want %v", c.name, masks, c.masks)
		}
	}
	if m := masksFor(readCores(twoNodes, []int{0, 1, 2, 3}), 5); m != nil {
		t.Errorf("more workers than cores are held to %v", m)
	}
}

func TestParseList(t *testing.T) {
	for s, want := range map[string][]int{
		"":          nil,
		"0":         {0},
		"0-2,5":     {0, 1, 2, 5},
		" 3 , 7-8 ": {3, 7, 8},
		"x,4":       {4},
		"5-2":       nil,
		"-1":        nil,
		"1-x":       nil,
	} {
		if have := parseList(s); !reflect.DeepEqual(have, want) {
			t.Errorf("%q gives %v, want %v", s, have, want)
		}
	}
	if n := len(parseList("0-999999999999")); n > 1<<16 {
		t.Errorf("a damaged list has %d entries", n)
	}
}

func TestCPUQuota(t *testing.T) {
	const (
		v2 = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate"
		v1 = "30 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
	)
	for _, c := range []struct {
		name  string
		files map[string]string
		want  float64
	}{
		{"none", nil, math.Inf(1)},
		{"v2", map[string]string{
			"proc/self/cgroup": "0::/a/b", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/a/b/cpu.max": "150000 100000",
		}, 1.5},
		{"v2, the outer one is tighter", map[string]string{
			"proc/self/cgroup": "0::/a/b", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/a/b/cpu.max": "400000 100000", "sys/fs/cgroup/a/cpu.max": "200000 100000",
		}, 2},
		{"v2, no limit", map[string]string{
			"proc/self/cgroup": "0::/a", "proc/self/mountinfo": v2, "sys/fs/cgroup/a/cpu.max": "max 100000",
		}, math.Inf(1)},
		{"v2, in a container", map[string]string{
			"proc/self/cgroup": "0::/", "proc/self/mountinfo": v2, "sys/fs/cgroup/cpu.max": "300000 100000",
		}, 3},
		{"v2, mounted from a group", map[string]string{
			"proc/self/cgroup": "0::/pod/x", "proc/self/mountinfo": "31 23 0:28 /pod /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
			"sys/fs/cgroup/x/cpu.max": "100000 100000",
		}, 1},
		{"v1", map[string]string{
			"proc/self/cgroup": "5:memory:/m\n3:cpu,cpuacct:/a\n0::/", "proc/self/mountinfo": v1,
			"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "50000", "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000",
		}, 0.5},
		{"v1, no limit", map[string]string{
			"proc/self/cgroup": "3:cpu,cpuacct:/", "proc/self/mountinfo": v1,
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
		}, math.Inf(1)},
		{"damaged", map[string]string{
			"proc/self/cgroup": "x\n0::../../..", "proc/self/mountinfo": "a - b\n" + v2, "sys/fs/cgroup/cpu.max": "0 0",
		}, math.Inf(1)},
	} {
		if have := cpuQuota(tree(c.files)); have != c.want {
			t.Errorf("%s: %g, want %g", c.name, have, c.want)
		}
	}
}
