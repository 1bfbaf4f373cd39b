package sim_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/buffer"
)

// Two programming interfaces of one card are two devices, and neither can use the other's memory.
func Example() {
	configs, err := sim.Parse(`
		device Vulkan0; memory 16GiB; card 0000:03:00.0
		device ROCm1;   memory 16GiB; card 0000:03:00.0; refuse MatMul IQ1_S "no kernel"
	`)
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := sim.Register(configs)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()

	vulkan, err := backends.Open("Vulkan0")
	if err != nil {
		fmt.Println(err)
		return
	}
	rocm := m.Device("ROCm1")
	fmt.Println(vulkan.Info().PhysicalID == rocm.Info().PhysicalID, vulkan.CanUse(rocm.BufferTypes()[0]))
	_, err = vulkan.BufferTypes()[0].Alloc(17 << 30)
	fmt.Println(err)
	// Output:
	// true false
	// buffer: cannot allocate 18253611008 bytes of Vulkan0 memory, 17179869184 are left
}

// What a driver seldom does can be tested when it does it on command.
func ExampleDevice_Inject() {
	d, err := sim.New(sim.Config{Name: "Vulkan0"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	if err := d.Inject(sim.LoseAtSubmit(2), sim.FailAlloc(1)); err != nil {
		fmt.Println(err)
		return
	}
	_, err = d.BufferTypes()[0].Alloc(64)
	fmt.Println(errors.Is(err, buffer.ErrNoMemory), err)
	p, err := d.Compile(&backends.Subgraph{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	fmt.Println(p.Submit(context.Background()))
	fmt.Println(p.Submit(context.Background()))
	// Output:
	// true buffer: cannot allocate 64 bytes of Vulkan0 memory: sim: allocation of Vulkan0: fault on command: fail-alloc 1
	// <nil>
	// sim: submit of Vulkan0: device is lost
}

// Time is counted and not spent: a copy of 1 MB over a slow link.
func ExampleDevice_Stats() {
	d, err := sim.New(sim.Config{Name: "Vulkan0", CopyLatency: 10 * time.Microsecond, CopyBandwidth: 1e9})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	b, err := d.BufferTypes()[0].Alloc(1e6)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	if _, err := b.WriteAt(make([]byte, 1e6), 0); err != nil {
		fmt.Println(err)
		return
	}
	s := d.Stats()
	fmt.Println(s.Live, s.Writes, s.Busy)
	// Output: 1000000 {1 1000000} 1.01ms
}
