package engine

// DeviceMemory is what the engine holds on one device, in bytes.
type DeviceMemory struct {
	Device  string `json:"device"`
	Mapped  int64  `json:"mapped"`  // weights used where they lie in the file
	Weights int64  `json:"weights"` // weights copied to the device
	Cache   int64  `json:"cache"`
	Compute int64  `json:"compute"` // inputs and results of runs
}

// Total returns what was allocated: everything but the mapped file.
func (d DeviceMemory) Total() int64 { return d.Weights + d.Cache + d.Compute }

// Memory reports what the engine holds, device by device.
func (e *Engine) Memory() []DeviceMemory {
	var all []DeviceMemory
	for _, d := range e.devices {
		owner := d.Info().Owner
		m := DeviceMemory{Device: owner.Device}
		if !e.closed {
			m.Mapped = e.weights.mapped[owner]
			m.Weights = e.weights.copied[owner]
			m.Cache = e.cache.Layout().BytesOn(owner)
			m.Compute = e.memory.Bytes(owner.Device)
		}
		all = append(all, m)
	}
	return all
}
