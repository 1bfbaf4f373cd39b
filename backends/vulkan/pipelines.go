//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"embed"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/vulkan/internal/vk"
	"github.com/tenon-go/tenon/buffer"
)

//go:embed shaders/spv
var spirv embed.FS

// maxSpec is how many specialization constants a kernel may have besides the first two.
const maxSpec = 22

// pipelineKey is a shader and its specialization constants.
type pipelineKey struct {
	shader string
	local  uint32 // constant 0: invocations in a group
	spec   [maxSpec]uint32
	n      int
}

// pipelines are made when a program first needs them.
type pipelines struct {
	mu      sync.Mutex
	modules map[string]vk.Module
	all     map[pipelineKey]vk.Pipeline
	fresh   bool // some are not in the cache on disk
	saved   time.Time
}

func (p *pipelines) init() {
	p.modules, p.all = map[string]vk.Module{}, map[pipelineKey]vk.Pipeline{}
}

func (p *pipelines) free(s *session) {
	for _, x := range p.all {
		s.vk.DestroyPipeline(x)
	}
	for _, m := range p.modules {
		s.vk.DestroyModule(m)
	}
}

// pipeline returns the pipeline of a shader, such as "unary", for groups of local invocations. Constant 1 is the size of a
// subgroup, and the others follow.
func (s *session) pipeline(key pipelineKey) (vk.Pipeline, error) {
	p := &s.pipes
	p.mu.Lock()
	defer p.mu.Unlock()
	if x, ok := p.all[key]; ok {
		return x, nil
	}
	m, ok := p.modules[key.shader]
	if !ok {
		code, err := spirv.ReadFile("shaders/spv/" + key.shader + ".spv")
		if err != nil {
			return 0, fmt.Errorf("vulkan: no shader %s: %w", key.shader, err)
		}
		if m, err = s.vk.CreateModule(code); err != nil {
			return 0, s.failed("loading shader "+key.shader, err)
		}
		p.modules[key.shader] = m
	}
	l, can := s.dev.phys.Limits, s.dev.phys.Can
	size := 0
	if can.SubgroupSize && l.SubgroupMin < l.SubgroupMax {
		size = l.Subgroup
	}
	spec := append([]uint32{key.local, uint32(l.Subgroup)}, key.spec[:key.n]...)
	x, err := s.vk.CreatePipeline(m, spec, size, can.SubgroupSize && int(key.local)%l.Subgroup == 0)
	if err != nil {
		return 0, &shaderError{key.shader, s.failed(fmt.Sprintf("compiling shader %s %v", key.shader, spec), err)}
	}
	p.all[key], p.fresh = x, true
	return x, nil
}

// shaderError says that a driver does not compile a shader.
type shaderError struct {
	shader string
	err    error
}

func (e *shaderError) Error() string { return e.err.Error() }
func (e *shaderError) Unwrap() error { return e.err }

// blame remembers a shader that the driver does not compile: from then on Supports refuses the op, or Fuses the group, and whoever
// plans again has it elsewhere. Want of memory and a loss say nothing about the shader.
func (d *Device) blame(kind any, err error) {
	var e *shaderError
	if !errors.As(err, &e) || errors.Is(err, buffer.ErrNoMemory) || errors.Is(err, backends.ErrDeviceLost) {
		return
	}
	d.broken.Store(kind, fmt.Sprintf("the driver does not compile shader %s (%v)", e.shader, e.err))
}
