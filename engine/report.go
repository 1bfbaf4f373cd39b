package engine

import "slices"

// DeviceMemory is what the engine holds on one device, in bytes.
type DeviceMemory struct {
	Device  string `json:"device"`
	Mapped  int64  `json:"mapped"`  // weights used where they lie in the file
	Weights int64  `json:"weights"` // weights copied to the device
	Cache   int64  `json:"cache"`
	Compute int64  `json:"compute"` // inputs and results of runs

	// Draft is how much of all but Mapped is held by what drafts for the model.
	Draft int64 `json:"draft,omitempty"`
}

// Total returns what was allocated: everything but the mapped file.
func (d DeviceMemory) Total() int64 { return d.Weights + d.Cache + d.Compute }

// AddDrafts adds what drafts hold to all, which it may change, and returns it. A device that was not there
// comes last.
func AddDrafts(all, drafts []DeviceMemory) []DeviceMemory {
	for _, d := range drafts {
		i := slices.IndexFunc(all, func(m DeviceMemory) bool { return m.Device == d.Device })
		if i < 0 {
			i = len(all)
			all = append(all, DeviceMemory{Device: d.Device})
		}
		m := &all[i]
		m.Mapped += d.Mapped
		m.Weights += d.Weights
		m.Cache += d.Cache
		m.Compute += d.Compute
		m.Draft += d.Total()
	}
	return all
}

// Memory reports what the engine holds, device by device, without its drafts: see Draft.Memory.
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
