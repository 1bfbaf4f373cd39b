package backends

// Meter is a Device whose card tells what it measures of itself.
type Meter interface {
	Device
	// Measure returns what the card says now, and false where nobody can be asked: it needs the card's management library, which may be
	// missing. It does not wait for what the device computes.
	Measure() (Reading, bool)
}

// Reading is what a card measures. What it does not tell is negative.
type Reading struct {
	PowerMicrowatts         int64
	TemperatureMillicelsius int64 // of the edge, or the junction where the card knows only that
	ProcessorHertz          int64
	MemoryHertz             int64
	BusyPercent             int64
	MemoryUsedBytes         int64 // by all processes
}
