package bench

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
)

// Manifest says where and with what something was measured. It stands in every record, so that a line of a
// file is worth something without the file's name. What cannot be read here is empty, and named in Absent.
type Manifest struct {
	BuildCommit string `json:"build_commit"` // of tenon
	GoVersion   string `json:"go_version"`
	Platform    string `json:"platform"`

	CPUInfo  string   `json:"cpu_info"`
	CPUs     int      `json:"cpus"`      // that the system lets this process use
	CPULevel string   `json:"cpu_level"` // of the CPU's kernels, such as "avx2"
	GPUInfo  string   `json:"gpu_info"`
	Backends string   `json:"backends"`
	Features []string `json:"features"` // of the device, the instruction sets of its kernels among them
	Driver   string   `json:"driver"`

	Kernel      string  `json:"os_kernel"`
	Governor    string  `json:"governor"`
	LoadAverage float64 `json:"load_average"` // of the system over the minute before
	Busy        int     `json:"busy"`         // processes that kept a core busy on purpose

	Absent []string `json:"absent"` // what could not be read, with the reason
}

// NewManifest describes this machine and process, and the devices, of which the first is the one that
// counts. commit is the version of the program; empty is what the build knows of itself.
func NewManifest(commit string, devices []backends.Device) Manifest {
	m := Manifest{
		BuildCommit: commit, GoVersion: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		CPUs: runtime.NumCPU(),
	}
	if m.BuildCommit == "" {
		m.BuildCommit = buildRevision()
	}
	m.absent(m.BuildCommit == "", "commit: the build does not say")
	var names, cards []string
	for i, d := range devices {
		info := d.Info()
		if i == 0 {
			m.Features, m.Driver = info.Features, info.Driver
		}
		if d, ok := d.(*cpu.Device); ok {
			m.CPULevel = d.Level().String()
		}
		if info.Kind == backends.CPU {
			m.CPUInfo = info.Description
		} else {
			cards = append(cards, info.Description)
		}
		names = append(names, info.Owner.Backend)
	}
	m.GPUInfo, m.Backends = strings.Join(cards, ", "), strings.Join(names, ",")
	if m.CPUInfo == "" {
		m.CPUInfo = hostProcessor()
	}
	m.machine()
	return m
}

// absent notes what could not be read.
func (m *Manifest) absent(missing bool, what string) {
	if missing {
		m.Absent = append(m.Absent, what)
	}
}

// machine fills in what the system says of itself.
func (m *Manifest) machine() {
	var err error
	if m.Kernel, err = readLine("/proc/sys/kernel/osrelease"); err != nil {
		m.absent(true, "os_kernel: "+reason(err))
	}
	if m.Governor, err = readLine("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"); err != nil {
		m.absent(true, "governor: "+reason(err))
	}
	if m.LoadAverage, err = loadAverage(); err != nil {
		m.absent(true, "load_average: "+reason(err))
	}
}

// hostProcessor asks the registry for the CPU's name.
func hostProcessor() string {
	for _, found := range backends.Probe() {
		for _, d := range found.Devices {
			if info := d.Info(); info.Kind == backends.CPU {
				return info.Description
			}
		}
	}
	return ""
}

// buildRevision returns the commit that the toolchain has noted, if it has.
func buildRevision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	revision, modified := "", false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	if revision != "" && modified {
		revision += "+"
	}
	return revision
}

// readLine returns the first line of a file.
func readLine(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line), nil
}

// reason returns an error of the file system without "open" and folders of no interest.
func reason(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return filepath.ToSlash(path.Path) + ": " + path.Err.Error()
	}
	return err.Error()
}
