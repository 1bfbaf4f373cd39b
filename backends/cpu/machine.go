package cpu

import (
	"bufio"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// processorName returns what the system calls the processor.
var processorName = sync.OnceValue(func() string {
	if v := procField("/proc/cpuinfo", "model name"); v != "" {
		return v
	}
	return runtime.GOARCH + " processor"
})

// machineMemory returns the host's memory in bytes, 0 where the system does not say.
func machineMemory() (total, free int64) {
	return procKiB("MemTotal"), procKiB("MemAvailable")
}

func procKiB(key string) int64 {
	v, _, _ := strings.Cut(procField("/proc/meminfo", key), " ")
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// procField returns the value of the first line "key : value" of a file, or "".
func procField(file, key string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
