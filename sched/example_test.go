package sched_test

import (
	"fmt"
	"log"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/sched"
	"github.com/tenon-go/tenon/tensor"
)

// machine is a device that can be planned for, but not run on.
type machine struct {
	backends.Device
	memory *buffer.Host
}

func (m machine) Info() backends.Info           { return backends.Info{Owner: m.memory.Owner()} }
func (m machine) BufferTypes() []buffer.Type    { return []buffer.Type{m.memory} }
func (m machine) CanUse(t buffer.Type) bool     { return t == m.memory }
func (m machine) Supports(*tensor.Tensor) error { return nil }

func newMachine(name string) machine {
	return machine{memory: buffer.NewHost(buffer.Owner{Backend: "Example", Device: name}, 0)}
}

// weight returns a weight that lies on m.
func weight(m machine, name string, sizes ...int) *tensor.Tensor {
	w, err := tensor.NewLeaf(tensor.Weight, name, tensor.F32, tensor.MakeShape(sizes...))
	if err != nil {
		log.Fatal(err)
	}
	b, err := m.memory.Alloc(int64(w.Bytes()))
	if err != nil {
		log.Fatal(err)
	}
	if err := w.Bind(b, 0); err != nil {
		log.Fatal(err)
	}
	return w
}

func ExampleNewPlan() {
	gpu, cpu := newMachine("Vulkan0"), newMachine("CPU")
	b := tensor.NewBuilder()
	x := b.Input("x", tensor.F32, tensor.MakeShape(64, 2))
	b.Layer(0)
	up := b.Name("up", b.MatMul(weight(cpu, "blk.0.ffn_up", 64, 256), x))
	act := b.Name("act", b.SiLU(up))
	down := b.Name("down", b.MatMul(weight(cpu, "blk.0.ffn_down", 256, 64), act))
	b.Layer(1)
	g, err := b.Build(b.Name("out", b.MatMul(weight(gpu, "blk.1.ffn_up", 64, 256), down)))
	if err != nil {
		log.Fatal(err)
	}
	plan, err := sched.NewPlan(g, []backends.Device{gpu, cpu}, sched.Options{Layers: []string{"Vulkan0", "Vulkan0"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(plan)
	// Output:
	// 4 nodes, 2 splits, 1 copy of 512 bytes each run
	// memory of Vulkan0: 2560 bytes in 1 buffer, 1.000 of the 2560 that are in use at a time
	// memory of CPU: 2560 bytes in 1 buffer, 1.000 of the 2560 that are in use at a time
	// split 0 on CPU
	//   0 MatMul blk.0.up: weight blk.0.ffn_up lies on CPU; 2048 bytes at CPU:0+0
	//   1 Unary blk.0.act: lies between nodes on CPU: 4096 bytes less to copy; 2048 bytes at CPU:0+0, in place
	//   2 MatMul blk.0.down: weight blk.0.ffn_down lies on CPU; 512 bytes at CPU:0+2048
	// split 1 on Vulkan0, after CPU
	//   copy blk.0.down: 512 bytes from CPU to Vulkan0:0+2048
	//   3 MatMul blk.1.out: weight blk.1.ffn_up lies on Vulkan0; 2048 bytes at Vulkan0:0+0
}
