package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/recipe"
)

// session is an open model that some tests in a row share.
type session struct {
	model   *tenon.Model
	drafted *tenon.Model // the same model with speculation, or nil
	load    time.Duration
	planned int64
	plans   planner
	tokens  []engine.Token // scratch
	rng     *rand.Rand
}

// openSession opens the model of p with room for so many tokens.
func openSession(p Params, context int, more []tenon.Option, progress func(done, total int64)) (_ *session, err error) {
	// A level that TENON_CPU asks for and that is not there is an error of the registry: a CPU with another
	// number of threads is made without it, and would quietly have another level.
	if _, err := backends.Open(cpu.Backend); err != nil {
		return nil, err
	}
	options, err := p.options(context)
	if err != nil {
		return nil, err
	}
	if progress != nil {
		options = append(options, tenon.WithProgress(progress))
	}
	s := &session{rng: rand.New(rand.NewPCG(1, 2))}
	start := time.Now()
	if s.model, err = p.Model.open(options); err != nil {
		return nil, err
	}
	s.load = time.Since(start)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.plans.engine = s.model.Engine()
	if s.planned, err = plannedMemory(p.Model, s.model.Engine()); err != nil {
		return nil, err
	}
	if more != nil {
		if s.drafted, err = p.Model.open(append(options, more...)); err != nil {
			return nil, fmt.Errorf("with speculation: %w", err)
		}
	}
	return s, nil
}

func (s *session) close() error {
	var errs []error
	for _, m := range []*tenon.Model{s.drafted, s.model} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	return errors.Join(errs...)
}

// open opens a model.
func (s Source) open(options []tenon.Option) (*tenon.Model, error) {
	if s.Data != nil {
		return tenon.OpenData(s.Name, s.Data, options...)
	}
	return tenon.Open(s.Path, options...)
}

// file opens the file alone.
func (s Source) file() (*gguf.File, error) {
	if s.Data != nil {
		return gguf.Parse(s.Data, s.Name)
	}
	return gguf.Open(s.Path)
}

// options returns what p asks for.
func (p Params) options(context int) ([]tenon.Option, error) {
	place := engine.Placement{}
	if p.DeviceLayers >= 0 {
		n := p.DeviceLayers
		place.DeviceLayers = &n
	}
	for _, s := range p.Overrides {
		o, err := engine.ParseOverride(s)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", &OptionError{"an override (-ot)", strconv.Quote(s), "REGEX=DEVICE"}, err)
		}
		place.Overrides = append(place.Overrides, o)
	}
	options := []tenon.Option{
		tenon.WithContext(context), tenon.WithBatch(p.UBatch), tenon.WithCacheTypes(p.TypeK, p.TypeV), tenon.WithPlacement(place),
	}
	if p.Threads != runtime.GOMAXPROCS(0) { // the CPU has as many otherwise
		options = append(options, tenon.WithThreads(p.Threads))
	}
	if p.Reproducible {
		options = append(options, tenon.WithReproducible())
	}
	if p.Devices != nil {
		options = append(options, tenon.WithDevices(p.Devices...))
	}
	return options, nil
}

// plannedMemory returns what an engine like e would allocate, by its plan, without allocating it.
func plannedMemory(src Source, e *engine.Engine) (bytes int64, err error) {
	f, err := src.file()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	opt := e.Options()
	opt.Placement = engine.Placement{Overrides: opt.Placement.Overrides, HostExperts: opt.Placement.HostExperts} // the layers have their devices
	opt.Progress = nil
	est, err := engine.NewEstimate(f, opt, 1)
	if err != nil {
		return 0, err
	}
	for _, m := range est.Memory {
		bytes += m.Total()
	}
	return bytes, nil
}

// record returns a record that says what is measured.
func (s *session) record(p Params, m Manifest) Record {
	e := s.model.Engine()
	params, opt := e.Params(), e.Options()
	r := Record{
		Manifest: m, ModelFile: p.Model.String(), ModelType: modelType(s.model), ModelSize: params.Bytes, ModelParams: params.Parameters,
		Batch: p.Batch, UBatch: p.UBatch, Threads: p.Threads,
		TypeK: strings.ToLower(opt.CacheK.String()), TypeV: strings.ToLower(opt.CacheV.String()),
		Reproducible: opt.Reproducible, GPULayers: p.DeviceLayers, Devices: strings.Join(p.Devices, "/"), Overrides: strings.Join(p.Overrides, ";"), Context: opt.Context,
		Prompt: p.Prompt, Gen: p.Gen, Depth: p.Depth, Spec: p.Spec,
		Time: time.Now().UTC().Truncate(time.Second), LoadNS: s.load.Nanoseconds(),
		MemoryPlanned: s.planned,
	}
	if r.Devices == "" {
		r.Devices = "auto"
	}
	if r.Overrides == "" {
		r.Overrides = "none"
	}
	return r
}

// modelType describes a model in three words.
func modelType(m *tenon.Model) string {
	p := m.Params()
	n := float64(p.Parameters)
	size := fmt.Sprintf("%.2f K", n/1e3)
	switch {
	case n >= 1e9:
		size = fmt.Sprintf("%.2f B", n/1e9)
	case n >= 1e6:
		size = fmt.Sprintf("%.2f M", n/1e6)
	}
	name := ""
	if t, err := m.Metadata().Int("general.file_type"); err == nil {
		for _, r := range recipe.All() { // of a type and a mix of the same number, the mix is what people say
			if int64(r.FileType) == t {
				name = " " + r.Name
			}
		}
	}
	return p.Arch + " " + size + name
}

// devices returns what the model runs on, the device with most of its layers first.
func (s *session) devices() []backends.Device {
	opt := s.model.Engine().Options()
	layers := map[string]int{}
	for _, name := range opt.LayerDevices {
		layers[name]++
	}
	all := opt.Devices
	if opt.Fallback != nil {
		all = append(append([]backends.Device(nil), all...), opt.Fallback)
	}
	var used []backends.Device
	seen := map[string]bool{}
	for _, d := range all {
		name := d.Info().Owner.Device
		if seen[name] || layers[name] == 0 {
			continue
		}
		seen[name] = true
		used = append(used, d)
		if layers[name] > layers[used[0].Info().Owner.Device] {
			used[0], used[len(used)-1] = used[len(used)-1], used[0]
		}
	}
	return used
}

// deviceNames names the devices that the layers run on.
func (s *session) deviceNames() []string {
	var names []string
	for _, d := range s.model.Engine().Options().Devices {
		names = append(names, d.Info().Owner.Device)
	}
	return names
}

// sample is one repetition.
type sample struct {
	took time.Duration
	ttft time.Duration // 0 without a prompt
}

// ready brings the cache to p's depth.
func (s *session) ready(ctx context.Context, p Params) error {
	e := s.model.Engine()
	c := e.Cache()
	if past := c.MaxPos(0) + 1; p.Depth > 0 && past >= p.Depth && (past == p.Depth || c.CanRollback(0, p.Depth)) {
		return c.Remove(0, p.Depth, -1) // it was filled for the repetition before
	}
	if err := c.Remove(0, 0, -1); err != nil {
		return err
	}
	return s.decode(ctx, p, 0, p.Depth)
}

// decode takes n random tokens after past others through the model, in batches, and has the logits of
// each batch's last.
func (s *session) decode(ctx context.Context, p Params, past, n int) error {
	for n > 0 {
		size := min(n, p.Batch)
		s.tokens = s.tokens[:0]
		for i := range size {
			s.tokens = append(s.tokens, engine.Token{ID: s.token(past + i), Pos: int32(past + i), Output: i == size-1})
		}
		if err := s.model.Engine().Decode(ctx, s.tokens); err != nil {
			return err
		}
		past, n = past+size, n-size
	}
	return nil
}

// token returns the token at a position: the one that begins texts, if there is one, or any.
func (s *session) token(pos int) int32 {
	if pos == 0 {
		if id, ok := s.model.Tokenizer().BOS(); ok {
			return id
		}
	}
	return s.rng.Int32N(int32(s.model.Params().Vocab))
}

// once runs one repetition of p, whose cache is ready.
func (s *session) once(ctx context.Context, p Params) (out sample, err error) {
	start := time.Now()
	if p.Prompt > 0 {
		if err := s.decode(ctx, p, p.Depth, p.Prompt); err != nil {
			return out, err
		}
		end := time.Now()
		out.took = end.Sub(start)
		s.best()
		out.ttft = time.Since(start)
		start = start.Add(time.Since(end)) // choosing belongs to the time to first token alone
	}
	for i := range p.Gen {
		if err := s.decode(ctx, p, p.Depth+p.Prompt+i, 1); err != nil {
			return out, err
		}
	}
	if p.Gen > 0 {
		out.took = time.Since(start)
	}
	return out, nil
}

// best returns the greatest of the last logits: what greedy sampling does.
func (s *session) best() (id int) {
	logits := s.model.Engine().Logits(0)
	for i, v := range logits {
		if v > logits[id] {
			id = i
		}
	}
	return id
}
