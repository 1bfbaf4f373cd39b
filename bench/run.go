package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/tenon-go/tenon/engine"
)

// Options says what Run measures, and how.
type Options struct {
	Tests       []Params      // in order: see Matrix.Params
	Repetitions int           // of each test; DefaultRepetitions if 0
	Delay       time.Duration // before each repetition but the first
	NoWarmup    bool          // measure the first run of a model, too
	// MinTime is how long a repetition takes at least: a short test runs as often as fills it, as the peer then does, and
	// the repetition is the mean of these runs. At 0 it runs once. Record.Runs says how often.
	MinTime time.Duration

	// NoRoofline leaves out how fast the device is by itself, which takes a few seconds for each. Shares
	// of it are 0 then.
	NoRoofline bool
	// Peer runs the same tests with another program, in turns with ours.
	Peer *Peer
	// Speculation is for tests with Params.Spec.
	Speculation *Speculation

	Commit string // of the program, for the manifest; what the build knows if empty
	Busy   int    // how many processes the caller keeps busy meanwhile, for the manifest

	// Progress is told what is done now; Record, what each test has given, as soon as it is complete.
	Progress func(Event)
	Record   func(Record) error
}

// Event says what Run is doing.
type Event struct {
	Index, Total int    // of the tests
	Params       Params // of the test
	Doing        string // "opening", "filling the cache", "warming up", "measuring", "measuring the device", "running the peer"
	Repetition   int    // from 0
	Repetitions  int
	Done, Bytes  int64 // while opening: of the weights
}

// Run runs the tests of opt, one after the other, and returns a record of each that gave at least one
// repetition. On an error, a cancelled ctx among them, the records so far come with it: the last then has
// fewer repetitions than were asked for. Models stay open as long as the tests in a row share them.
//
// Errors: *OptionError, ErrPrompt, those of tenon.Open and Engine.Decode, the error of ctx, what
// Options.Record returned, and a *PeerError for each test that the peer could not run, which does not end
// the run.
func Run(ctx context.Context, opt Options) ([]Record, error) {
	b := &bench{opt: opt, lines: rooflines{}}
	if b.opt.Repetitions == 0 {
		b.opt.Repetitions = DefaultRepetitions
	}
	if b.opt.Repetitions < 0 {
		return nil, &OptionError{"repetitions (-r)", opt.Repetitions, "1 or more"}
	}
	tests := make([]Params, len(opt.Tests))
	for i, p := range opt.Tests {
		var err error
		if tests[i], err = p.complete(); err != nil {
			return nil, err
		}
		if opt.Peer != nil && p.Model.Path == "" {
			return nil, &OptionError{"the model", p.Model.Name + " in memory", "a file, which the peer can read"}
		}
		if p.Spec && opt.Speculation == nil {
			return nil, &OptionError{"Speculation", "nil", "how tests with Spec speculate"}
		}
	}
	if b.opt.MinTime < 0 {
		return nil, &OptionError{"MinTime (--min-time)", opt.MinTime, "0 or more"}
	}
	if len(tests) == 0 {
		return nil, &OptionError{"tests", "none", "at least one: -p, -n or -pg"}
	}
	b.opt.Tests = tests
	err := b.run(ctx)
	return b.records, errors.Join(append([]error{err}, b.peerErrors...)...)
}

// bench is one call of Run.
type bench struct {
	opt        Options
	lines      rooflines
	records    []Record
	peerErrors []error
	index      int // of the test
	meters     meters
}

// meters measure what goes on around a repetition.
type meters struct {
	energy *energyMeter
	cards  *cardMeter
	load   loadMeter
}

func (m *meters) start() {
	m.cards.start()
	m.energy.start()
	m.load.start()
}

func (m *meters) stop() {
	m.load.stop()
	m.energy.stop()
	m.cards.stop()
}

func (b *bench) tell(p Params, doing string, repetition int) {
	if b.opt.Progress != nil {
		b.opt.Progress(Event{
			Index: b.index, Total: len(b.opt.Tests), Params: p, Doing: doing,
			Repetition: repetition, Repetitions: b.opt.Repetitions,
		})
	}
}

// run opens a model for each stretch of tests that can share it.
func (b *bench) run(ctx context.Context) error {
	all := b.opt.Tests
	for from, to := 0, 0; from < len(all); from = to {
		for to = from; to < len(all) && all[to].session() == all[from].session(); to++ {
		}
		if err := b.shared(ctx, all[from:to], from); err != nil {
			return err
		}
	}
	return nil
}

// shared runs tests of one session, the first of which is number first.
func (b *bench) shared(ctx context.Context, tests []Params, first int) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.index = first
	room, spec := 0, false
	for _, p := range tests {
		need := p.tokens()
		if p.Spec {
			need += specTokens + specSlack
		}
		room, spec = max(room, need), spec || p.Spec
	}
	options := b.opt.Speculation
	if !spec {
		options = nil
	}
	b.tell(tests[0], "opening", 0)
	var progress func(done, total int64)
	if b.opt.Progress != nil {
		progress = func(done, total int64) {
			b.opt.Progress(Event{Index: first, Total: len(b.opt.Tests), Params: tests[0], Doing: "opening", Done: done, Bytes: total})
		}
	}
	s, err := openSession(tests[0], room, options.options(), progress)
	if err != nil {
		return fmt.Errorf("%s: %w", tests[0], err)
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for i, p := range tests {
		b.index = first + i
		if err := b.test(ctx, s, p); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

// specSlack is how many tokens more than it gives a draft may try.
const specSlack = 64

// test runs one test and keeps its record, unless that is empty.
func (b *bench) test(ctx context.Context, s *session, p Params) error {
	devices := s.devices()
	r := s.record(p, NewManifest(b.opt.Commit, devices))
	r.Busy = b.opt.Busy
	if !b.opt.NoRoofline && len(devices) == 1 {
		b.tell(p, "measuring the device", 0)
		line, err := b.lines.of(ctx, devices[0], MeasureRoofline)
		if err != nil {
			return err
		}
		r.Bandwidth, r.Peak = line.Bandwidth, line.Peak
	}
	b.meters = meters{energy: newEnergyMeter(os.DirFS(powercap)), cards: newCardMeter(devices)}
	var err error
	if p.Spec {
		err = b.specTest(ctx, s, p, &r)
	} else {
		err = b.plainTest(ctx, s, p, &r)
	}
	if len(r.SamplesNS) == 0 {
		return err
	}
	err = errors.Join(err, b.complete(s, p, &r))
	b.records = append(b.records, r)
	if b.opt.Record != nil {
		err = errors.Join(err, b.opt.Record(r))
	}
	return err
}

// complete fills in what is known after the repetitions.
func (b *bench) complete(s *session, p Params, r *Record) error {
	w, err := s.plans.work(p)
	if err != nil {
		return err
	}
	if !p.Spec { // what speculation reads depends on what is accepted
		r.ReadBytes, r.Operations = w.bytes, w.ops
	}
	r.CopiedBytes = w.copied
	if r.PlanHash, err = s.plans.hashOf(p); err != nil {
		return err
	}
	model := s.model
	if p.Spec {
		model = s.drafted
		r.MemoryPlanned = 0 // an estimate knows no drafts
	}
	r.Memory = append([]engine.DeviceMemory(nil), model.Memory()...)
	for _, m := range r.Memory {
		r.MemoryUsed += m.Total()
	}
	m := &b.meters
	r.EnergyJ, r.EnergyDomains = m.energy.joules+m.cards.joules(), append(m.energy.names(), m.cards.names()...)
	r.absent(m.energy.absent != "", "energy: "+m.energy.absent)
	cores, known := m.load.cores()
	r.OtherLoad = cores
	switch {
	case m.load.err != nil:
		r.absent(true, "other_load: "+reason(m.load.err))
	case !known:
		r.absent(true, "other_load: the repetitions were too short")
	}
	r.finish()
	return nil
}

// plainTest runs the repetitions of a test, those of the peer in turns with them.
func (b *bench) plainTest(ctx context.Context, s *session, p Params, r *Record) error {
	if !b.opt.NoWarmup {
		b.tell(p, "warming up", 0)
		if err := s.warm(ctx, p); err != nil {
			return err
		}
	}
	var firsts []float64
	for i := range b.opt.Repetitions {
		if i > 0 {
			if err := b.pause(ctx); err != nil {
				return err
			}
		}
		var took time.Duration
		runs := 1
		for n := 0; n < runs; n++ {
			if n == 0 && p.Depth > 0 {
				b.tell(p, "filling the cache", i)
			}
			if err := s.ready(ctx, p); err != nil {
				return err
			}
			if n == 0 {
				b.tell(p, "measuring", i)
				runtime.GC() // not in the middle of a repetition
			}
			x, err := b.measure(ctx, s, p)
			if err != nil {
				return err
			}
			if took += x.took; n == 0 {
				runs = runsToFill(b.opt.MinTime, took)
			}
			if p.Prompt > 0 {
				firsts = append(firsts, float64(x.ttft))
			}
		}
		r.add(took/time.Duration(runs), runs)
		if p.Prompt > 0 {
			r.TTFT = int64(Median(firsts))
		}
		if b.opt.Peer == nil || r.VsError != "" {
			continue
		}
		b.tell(p, "running the peer", i)
		same := p
		same.Devices = s.deviceNames()
		if err := b.peerTurn(ctx, same, runs, r); err != nil {
			return err
		}
	}
	return nil
}

// measure runs a test once, whose cache is ready.
func (b *bench) measure(ctx context.Context, s *session, p Params) (sample, error) {
	b.meters.start()
	defer b.meters.stop()
	return s.once(ctx, p)
}

// maxRuns is how often a test runs in one repetition at most.
const maxRuns = 1000

// runsToFill returns how often a test that took so long once runs in a repetition of at least so long.
func runsToFill(atLeast, once time.Duration) int {
	once = max(once, 1)
	return int(min(maxRuns, max(1, (atLeast+once-1)/once)))
}

// warm runs a short form of p, so that its graphs are built and its weights are in memory.
func (s *session) warm(ctx context.Context, p Params) error {
	short := p
	short.Depth, short.Gen = 0, min(p.Gen, 1)
	if err := s.ready(ctx, short); err != nil {
		return err
	}
	_, err := s.once(ctx, short)
	return err
}

// peerTurn has the peer run one repetition of as many runs as ours had. That it fails is told at the end.
func (b *bench) peerTurn(ctx context.Context, p Params, runs int, r *Record) error {
	got, err := b.opt.Peer.Run(ctx, p, runs, p.Model.Path)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		r.VsCommand, r.VsError = b.opt.Peer.String(), err.Error()
		b.peerErrors = append(b.peerErrors, err)
		return nil
	}
	r.VsCommand, r.VsBuild, r.VsBackends, r.VsModelType = b.opt.Peer.String(), got.Build(), got.On(), got.ModelType
	var sum int64
	for _, ns := range got.SamplesNS {
		sum += ns
	}
	ns := sum / int64(len(got.SamplesNS))
	r.VsSamplesNS = append(r.VsSamplesNS, ns)
	r.VsSamplesTS = append(r.VsSamplesTS, rate(p.Prompt+p.Gen, ns))
	return nil
}
