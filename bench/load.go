package bench

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// loadAverage returns the load of the last minute.
func loadAverage() (float64, error) {
	line, err := readLine("/proc/loadavg")
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(line, " ")
	return strconv.ParseFloat(first, 64)
}

// loadMeter measures how many cores the rest of the machine uses meanwhile.
type loadMeter struct {
	others, wall time.Duration
	from         loadReading
	err          error
}

// loadReading is a moment: what all processes together, and this one, have used of the processors so far.
type loadReading struct {
	at        time.Time
	all, self time.Duration
}

// tick is the unit of /proc/stat: Linux fixes it at 100 a second for programs.
const tick = 10 * time.Millisecond

func (m *loadMeter) start() { m.from, m.err = readLoad() }

func (m *loadMeter) stop() {
	if m.err != nil {
		return
	}
	to, err := readLoad()
	if m.err = err; err != nil {
		return
	}
	m.wall += to.at.Sub(m.from.at)
	m.others += max(0, (to.all-m.from.all)-(to.self-m.from.self))
}

// cores returns the mean number of cores that others used, and whether it is known: below a few ticks it
// is not.
func (m *loadMeter) cores() (float64, bool) {
	if m.err != nil || m.wall < 20*tick {
		return 0, false
	}
	return m.others.Seconds() / m.wall.Seconds(), true
}

// readLoad reads /proc/stat and /proc/self/stat, whose numbers are ticks.
func readLoad() (loadReading, error) {
	r := loadReading{at: time.Now()}
	line, err := readLine("/proc/stat")
	if err != nil {
		return r, err
	}
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return r, fmt.Errorf("/proc/stat begins with %q", line)
	}
	for i, s := range f[1:9] { // user nice system idle iowait irq softirq steal
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return r, err
		}
		if i != 3 && i != 4 {
			r.all += time.Duration(n) * tick
		}
	}
	if line, err = readLine("/proc/self/stat"); err != nil {
		return r, err
	}
	_, rest, _ := strings.Cut(line[strings.LastIndexByte(line, ')')+1:], " ")
	f = strings.Fields(rest)
	if len(f) < 13 {
		return r, fmt.Errorf("/proc/self/stat has %d fields", len(f))
	}
	for _, s := range f[11:13] { // utime stime
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return r, err
		}
		r.self += time.Duration(n) * tick
	}
	return r, nil
}
