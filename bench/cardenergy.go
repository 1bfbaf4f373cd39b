package bench

import (
	"sync"
	"time"

	"github.com/tenon-go/tenon/backends"
)

// cardEvery is how often cards are asked for their power.
const cardEvery = 50 * time.Millisecond

// cardMeter adds up what cards use between start and stop: they tell their power, which is taken to change evenly from one time they are
// asked to the next.
type cardMeter struct {
	cards []*cardPower
	end   chan struct{}
	done  sync.WaitGroup
}

// cardPower is one card that told its power when the meter was made.
type cardPower struct {
	dev    backends.Meter
	joules float64
	at     time.Time // last asked
	watts  float64
	lost   bool // it tells no more
}

// newCardMeter returns a meter of those devices that tell their power.
func newCardMeter(devices []backends.Device) *cardMeter {
	m := &cardMeter{}
	for _, d := range devices {
		if dev, ok := d.(backends.Meter); ok {
			if r, ok := dev.Measure(); ok && r.PowerMicrowatts >= 0 {
				m.cards = append(m.cards, &cardPower{dev: dev})
			}
		}
	}
	return m
}

// names returns the cards that told their power all the time.
func (m *cardMeter) names() []string {
	var all []string
	for _, c := range m.cards {
		if !c.lost {
			all = append(all, c.dev.Info().Owner.Device)
		}
	}
	return all
}

// joules returns what these have used.
func (m *cardMeter) joules() float64 {
	sum := 0.0
	for _, c := range m.cards {
		if !c.lost {
			sum += c.joules
		}
	}
	return sum
}

func (m *cardMeter) start() {
	m.ask(true)
	m.end = make(chan struct{})
	m.done.Go(func() {
		if len(m.cards) == 0 {
			return
		}
		tick := time.NewTicker(cardEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				m.ask(false)
			case <-m.end:
				return
			}
		}
	})
}

func (m *cardMeter) stop() {
	close(m.end)
	m.done.Wait()
	m.ask(false)
}

// ask asks every card; what lies before the first time does not count.
func (m *cardMeter) ask(first bool) {
	for _, c := range m.cards {
		r, ok := c.dev.Measure()
		if !ok || r.PowerMicrowatts < 0 {
			c.lost = true
			continue
		}
		now, watts := time.Now(), float64(r.PowerMicrowatts)/1e6
		if !first {
			c.joules += (c.watts + watts) / 2 * now.Sub(c.at).Seconds()
		}
		c.at, c.watts = now, watts
	}
}
