package bench

import (
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/sim"
)

// metered is a device whose card tells a power, in watts; below 0 it tells nothing.
type metered struct {
	backends.Device
	watts atomic.Int64
}

func (m *metered) Measure() (backends.Reading, bool) {
	w := m.watts.Load()
	return backends.Reading{PowerMicrowatts: w * 1e6}, w >= 0
}

func newMetered(t *testing.T, name string, watts int64) *metered {
	t.Helper()
	dev, err := sim.New(sim.Config{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dev.Close() }) // nothing of it is used
	m := &metered{Device: dev}
	m.watts.Store(watts)
	return m
}

func TestCardEnergy(t *testing.T) {
	a, b, mute := newMetered(t, "Sim0", 300), newMetered(t, "Sim1", 100), newMetered(t, "Sim2", -1)
	m := newCardMeter([]backends.Device{a, a.Device, b, mute})
	begun := time.Now()
	m.start()
	time.Sleep(3 * cardEvery)
	m.stop()
	spent := time.Since(begun).Seconds()
	if got := m.joules(); got <= 0 || got > 400*spent || got < 400*3*cardEvery.Seconds() || !slices.Equal(m.names(), []string{"Sim0", "Sim1"}) {
		t.Errorf("%g J of %q in %g s at 400 W", got, m.names(), spent)
	}
	one := m.cards[0].joules
	b.watts.Store(-1)
	m.start()
	m.stop()
	if got := m.joules(); !slices.Equal(m.names(), []string{"Sim0"}) || got < one || math.Abs(got-m.cards[0].joules) > 1e-9 {
		t.Errorf("a card that tells no more: %g J of %q", got, m.names())
	}
	none := newCardMeter(nil)
	none.start()
	if none.stop(); none.joules() != 0 || none.names() != nil {
		t.Errorf("no card: %g J of %q", none.joules(), none.names())
	}
}
