// Package tenon opens GGUF language models and runs them: text, embeddings or raw logits, in pure Go.
//
//	m, err := tenon.Open("model.gguf")
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer m.Close()
//	for tok, err := range m.Generate(ctx, "Once upon a time", tenon.GenerateOptions{MaxTokens: 100}) {
//		if err != nil {
//			log.Fatal(err)
//		}
//		fmt.Print(tok.Text)
//	}
//
// A Model owns its file mapping, its cache and the devices' memory, until Close. Its methods may be
// called from several goroutines: calls take turns run by run, each in a sequence of its own.
package tenon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/spec"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tokenizer"
)

// Errors of this package match one of these, or one of the packages that it stands on: gguf.ErrFormat
// for a damaged file, model.ErrArch for an unknown family, kv.ErrFull for a full context and so on.
var (
	ErrEmpty  = errors.New("the prompt is empty")
	ErrClosed = errors.New("the model is closed")
	ErrVocab  = errors.New("tokenizer and model do not fit together")
)

// VocabError says that a file's tokenizer has another number of tokens than its model has logits. It
// matches ErrVocab.
type VocabError struct {
	File           string
	Tokens, Logits int
}

// Error returns one line with both numbers.
func (e *VocabError) Error() string {
	return fmt.Sprintf("%s: the tokenizer has %d tokens, the model %d logits", e.File, e.Tokens, e.Logits)
}

// Unwrap returns ErrVocab.
func (e *VocabError) Unwrap() error { return ErrVocab }

// Model is an open model.
type Model struct {
	file *gguf.File
	tok  *tokenizer.Tokenizer
	own  []backends.Device // devices made for this model alone

	// turn is full while somebody uses engine. It is no mutex, so that a call that waits can be
	// cancelled.
	turn   chan struct{}
	engine *engine.Engine
	freed  bool

	// Of speculative decoding; nil without.
	decoder   *spec.Decoder
	draftFile *gguf.File

	life      context.Context // until Close, with the cause ErrClosed
	end       context.CancelCauseFunc
	sequences chan int32 // those that are free
}

// config is what Options set.
type config struct {
	engine  engine.Options
	devices []string
	threads int

	spec       SpecOptions
	draft      source // of WithDraft
	speculates bool   // WithSpec or WithDraft was given

	compiling func(device string, done, total int)
}

// Option changes how Open opens a model.
type Option func(*config)

// WithDevices names the devices that run the model, such as "Vulkan0" or "CPU", in the order of
// preference: layers are spread evenly over them. The CPU runs what they cannot.
func WithDevices(names ...string) Option { return func(c *config) { c.devices = names } }

// WithThreads sets the number of CPU threads; if it is not given there is one for each core.
func WithThreads(n int) Option { return func(c *config) { c.threads = n } }

// WithCompileProgress has progress called while a device compiles kernels: that may take seconds when a model first runs on a card, also
// after Open has returned. It is called by one goroutine of a device at a time.
func WithCompileProgress(progress func(device string, done, total int)) Option {
	return func(c *config) { c.compiling = progress }
}

// WithContext sets how many tokens the cache holds, over all sequences; the trained context, at most
// engine.DefaultContext, if it is not given.
func WithContext(tokens int) Option { return func(c *config) { c.engine.Context = tokens } }

// WithBatch sets how many tokens of a prompt are processed at a time.
func WithBatch(tokens int) Option { return func(c *config) { c.engine.Batch = tokens } }

// WithSequences sets how many calls can be under way at a time; others wait. 1 if it is not given.
func WithSequences(n int) Option { return func(c *config) { c.engine.Sequences = n } }

// WithCacheTypes sets the types in which keys and values are kept; F16 if it is not given.
func WithCacheTypes(k, v tensor.DType) Option {
	return func(c *config) {
		c.engine.CacheK, c.engine.CacheV = k, v
		c.engine.ExactCache = k == tensor.F32 && v == tensor.F32
	}
}

// WithCacheDevice has the whole cache lie in the memory of one device, such as "CPU", in place of each layer's
// beside its weights. It is one of those that run the model, the CPU among them.
func WithCacheDevice(name string) Option { return func(c *config) { c.engine.CacheDevice = name } }

// WithExact forbids rounding activations in products: slower, and closer to double precision.
func WithExact() Option { return func(c *config) { c.engine.Exact = true } }

// WithReproducible makes a token's logits have the same bits alone, beside other sequences, and in any chunking
// of a prompt, at the price of some speed of prompts. Open fails where a device cannot do so.
func WithReproducible() Option { return func(c *config) { c.engine.Reproducible = true } }

// WithoutFusion turns fusions off, all of them if none is named: each node is then a kernel of its own. It is for
// finding out whether a fused kernel is what is slow or wrong.
func WithoutFusion(fusions ...backends.Fusion) Option {
	if len(fusions) == 0 {
		fusions = backends.Fusions()
	}
	return func(c *config) { c.engine.NoFusion = fusions }
}

// WithProgress has f told how many bytes of the weights are in place, while Open runs.
func WithProgress(f func(done, total int64)) Option { return func(c *config) { c.engine.Progress = f } }

// Open opens the model at path; for a split one any of its parts.
//
// Errors: *gguf.FormatError and those of its getters, *model.ArchError, *model.TensorError,
// *model.ParamError, *tokenizer.MetadataError, *tokenizer.UnsupportedError, *VocabError,
// backends.ErrNoDevice, *engine.OptionError, *kv.ConfigError, *buffer.AllocError,
// *sched.PlacementError for a type that no device can read, or the file system's. With a draft also
// *kv.ShareError where that cannot read the target's cache, before anything of it is loaded,
// *model.DraftError, and *spec.VocabError.
func Open(path string, options ...Option) (*Model, error) {
	return open(source{path: path}, options)
}

// OpenData is Open for a model file that is in memory already: an embedded one, for example. It must
// not be changed while the model is open; name stands for the path in errors.
func OpenData(name string, file []byte, options ...Option) (*Model, error) {
	return open(source{name, file}, options)
}

// source is where a model file is: at a path, or in memory under a name.
type source struct {
	path string
	data []byte
}

// open maps or parses the file.
func (s source) open() (*gguf.File, error) {
	if s.data != nil {
		return gguf.Parse(s.data, s.path)
	}
	return gguf.Open(s.path)
}

func open(from source, options []Option) (_ *Model, err error) {
	var c config
	for _, o := range options {
		o(&c)
	}
	if c.threads < 0 {
		return nil, &engine.OptionError{Name: "threads", Value: c.threads, Wants: "0 or more"}
	}
	if c.speculates = c.speculates || c.draft.path != ""; c.speculates {
		if err := c.spec.complete(c.draft.path); err != nil {
			return nil, err
		}
		c.engine.Snapshots = c.spec.Max // guesses are taken back
	}
	m := &Model{turn: make(chan struct{}, 1)}
	m.life, m.end = context.WithCancelCause(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	if m.file, err = from.open(); err != nil {
		return nil, err
	}
	if m.tok, err = tokenizer.New(m.file.Metadata); err != nil {
		return nil, fmt.Errorf("%s: %w", from.path, err)
	}
	if err = m.openDevices(&c); err != nil {
		return nil, err
	}
	if m.engine, err = engine.New(m.file, c.engine); err != nil {
		return nil, err
	}
	if tokens, logits := m.tok.Size(), m.Params().Vocab; tokens != logits {
		return nil, &VocabError{from.path, tokens, logits}
	}
	if err = m.openDrafters(&c); err != nil {
		return nil, err
	}
	m.sequences = make(chan int32, m.engine.Options().Sequences)
	for i := range cap(m.sequences) {
		m.sequences <- int32(i)
	}
	return m, nil
}

// openDevices fills in the engine's devices.
func (m *Model) openDevices(c *config) error {
	var host backends.Device
	var err error
	if c.threads > 0 { // a device of its own, with as many workers
		level, err := cpu.DefaultLevel()
		if err != nil {
			return err
		}
		own, err := cpu.NewAt(level, cpu.Options{Threads: c.threads})
		if err != nil {
			return err
		}
		host = own
		m.own = append(m.own, host)
	} else if host, err = backends.Open(cpu.Backend); err != nil {
		return err
	}
	c.engine.Fallback = host
	if c.engine.Devices, err = m.openNamed(c, c.devices); err != nil {
		return err
	}
	if len(c.engine.Devices) == 0 {
		c.engine.Devices = []backends.Device{host}
	}
	return nil
}

// openNamed returns the devices of the given names.
func (m *Model) openNamed(c *config, names []string) (devices []backends.Device, err error) {
	host := c.engine.Fallback
	for _, name := range names {
		d := host
		if !strings.EqualFold(name, host.Info().Owner.Device) { // as backends.Open compares
			if d, err = backends.Open(name); err != nil {
				return nil, err
			}
		}
		if k, ok := d.(backends.KernelCompiler); ok && c.compiling != nil {
			k.OnCompile(func(done, total int) { c.compiling(name, done, total) })
		}
		devices = append(devices, d)
	}
	return devices, nil
}

// Tokenizer returns the model's tokenizer.
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.tok }

// Params describes the model.
func (m *Model) Params() model.Params { return m.engine.Params() }

// Metadata returns what the file says about itself.
func (m *Model) Metadata() *gguf.Metadata { return m.file.Metadata }

// Memory reports what the model holds, device by device, and its draft with it.
func (m *Model) Memory() []engine.DeviceMemory {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	all := m.engine.Memory()
	if m.decoder != nil {
		all = engine.AddDrafts(all, m.decoder.Memory())
	}
	return all
}

// Engine returns the engine for work below the level of text. It belongs to one goroutine at a time,
// and not to a call of Generate or Embed at the same time.
func (m *Model) Engine() *engine.Engine { return m.engine }

// Close frees everything. Calls that are under way end soon, with ErrClosed. A second call does nothing.
// Errors: *kv.BorrowedError while others read the cache: then nothing is freed, and Close can be called
// again.
func (m *Model) Close() error {
	m.end(ErrClosed)
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	if m.freed {
		return nil
	}
	var errs []error
	if m.decoder != nil { // drafts read the engine's cache
		errs = append(errs, m.decoder.Close())
	}
	if m.engine != nil {
		err := m.engine.Close()
		if errors.Is(err, kv.ErrBorrowed) {
			return err
		}
		errs = append(errs, err)
	}
	m.freed = true
	for _, d := range m.own {
		errs = append(errs, d.Close())
	}
	for _, f := range []*gguf.File{m.draftFile, m.file} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// call returns a context for work on behalf of ctx that also ends when the model is closed, and a
// function to be called when it is done.
func (m *Model) call(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(m.life, func() { cancel(ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// acquire waits for a free sequence.
func (m *Model) acquire(ctx context.Context) (int32, error) {
	if ctx.Err() != nil {
		return 0, m.ended(ctx)
	}
	select {
	case seq := <-m.sequences:
		return seq, nil
	case <-ctx.Done():
		return 0, m.ended(ctx)
	}
}

// release empties a sequence and gives it back.
func (m *Model) release(seq int32) error {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	var err error
	switch {
	case m.freed:
	case m.decoder != nil:
		err = m.decoder.Truncate(seq, 0)
	default:
		err = m.engine.Cache().Remove(int(seq), 0, -1)
	}
	m.sequences <- seq
	return err
}

// with runs f while nobody else uses the engine.
func (m *Model) with(ctx context.Context, f func(e *engine.Engine) error) error {
	select {
	case m.turn <- struct{}{}:
	case <-ctx.Done():
		return m.ended(ctx)
	}
	defer func() { <-m.turn }()
	if m.life.Err() != nil {
		return ErrClosed
	}
	err := f(m.engine)
	if err != nil && m.life.Err() != nil && errors.Is(err, ErrClosed) {
		return ErrClosed // and not that some context was cancelled
	}
	return err
}

// inTurns has f take tokens through the engine, in runs of the engine's size. Others get their turn
// between the runs. It asks first whether all tokens fit.
func (m *Model) inTurns(ctx context.Context, tokens []engine.Token, f func(e *engine.Engine, run []engine.Token) error) error {
	left := len(tokens)
	for run := range slices.Chunk(tokens, m.engine.Options().Batch) {
		err := m.with(ctx, func(e *engine.Engine) error {
			if err := e.Fits(left); err != nil {
				return err
			}
			return f(e, run)
		})
		if err != nil {
			return err
		}
		left -= len(run)
	}
	return nil
}

// ended returns the error of a call whose context is done: one that matches both the context's error
// and its cause.
func (m *Model) ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	switch {
	case m.life.Err() != nil:
		return ErrClosed
	case cause == err:
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
