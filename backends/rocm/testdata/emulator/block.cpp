// How a block runs. A wave's threads run one after the other, each until it ends or waits; when none of them can go on, those
// that wait for a collective get what all of them gave; when only barriers are waited for, the next wave runs.
#include "block.h"
#include "fibers.h"

#include <cstdio>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace hipemu {

enum { STACK_BYTES = 256 << 10, BUFFER = MAX_LANES * (SMALL + MAX_GIVEN), GARBAGE = 0xff }; // as a float, garbage is no number

Worker::Worker(unsigned number) : number_(number), reverse_(setting("HIPEMU_ORDER", "") == "reverse") {
	threads_.resize(MAX_THREADS);
	all_.resize(MAX_WAVES);
	given_.resize(size_t(MAX_WAVES) * 2 * BUFFER);
	for (unsigned i = 0; i < MAX_WAVES; i++) {
		all_[i].in = &given_[size_t(i) * 2 * BUFFER];
		all_[i].out = all_[i].in + BUFFER;
	}
}

// stack returns one that is free. They begin at different places of a page, so that they do not all want the same lines of a cache.
Stack* Worker::stack() {
	if (spare_.empty()) {
		void* at = mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (at == MAP_FAILED) failed("no memory for a stack");
		mprotect(at, getpagesize(), PROT_NONE);
		stacks_.emplace_back(new Stack);
		stacks_.back()->top = (char*)at + STACK_BYTES - stacks_.size() * 832 % 8192 / 16 * 16;
		spare_.push_back(stacks_.back().get());
	}
	Stack* s = spare_.back();
	spare_.pop_back();
	return s;
}

void Worker::failed(const char* what) {
	if (inside_.exchange(false)) {
		const Dim b = block_, t = self_ ? self_->self.thread : Dim{};
		char text[512];
		snprintf(text, sizeof text, "kernel %s, block %u,%u,%u, thread %u,%u,%u: %s", kernel_->name, b.x, b.y, b.z, t.x, t.y, t.z, what);
		say(text);
		siglongjmp(out_, 1);
	}
	fprintf(stderr, "hip emulator: %s\n", what);
	_exit(70);
}

void Worker::fail(void* self, const char* what) { ((Worker*)self)->failed(what); }

void Worker::caught(int signal, const void* at) {
	if (!inside_) return;
	char text[256];
	snprintf(text, sizeof text, "signal %d (%s) at %p, %s", signal, strsignal(signal), at, describe(at).c_str());
	failed(text);
}

// pick takes a thread of the wave that can go on, or returns nullptr.
Thread* Worker::pick(Wave& w) {
	if (w.ready == 0) settle(w);
	if (w.ready == 0) return nullptr;
	unsigned lane = reverse_ ? 63 - __builtin_clzll(w.ready) : __builtin_ctzll(w.ready);
	w.ready &= ~(1ull << lane);
	return &w.threads[lane];
}

// settle serves a collective whose threads are all there, or the first of several if threads have gone different ways.
void Worker::settle(Wave& w) {
	if (w.gathering == 0) return;
	uint64_t group = w.gathering;
	if (w.mixed) {
		int line = 0x7fffffff;
		for (uint64_t m = w.gathering; m; m &= m - 1) line = std::min(line, w.threads[__builtin_ctzll(m)].line);
		group = 0;
		for (uint64_t m = w.gathering; m; m &= m - 1) {
			Thread& t = w.threads[__builtin_ctzll(m)];
			if (t.line == line) group |= m & -m, w.size = t.given;
		}
	}
	for (uint64_t m = group; m; m &= m - 1) {
		self_ = &w.threads[__builtin_ctzll(m)];
		if (self_->given != w.size) failed("threads of a wave give different sizes to a collective");
	}
	bool small = w.size <= SMALL;
	if (w.mixed) memcpy(w.out, w.in, BUFFER);
	else std::swap(w.in, w.out);
	w.snapshot = {group, small ? w.out : w.out + MAX_LANES * SMALL, small ? unsigned(SMALL) : unsigned(MAX_GIVEN)};
	w.ready = group;
	w.gathering &= ~group;
	w.mixed = w.mixed && w.gathering != 0; // the rest may be of one mind now, which costs a copy at most
}

// enter makes t the thread that runs.
void Worker::enter(Thread* t) {
	self_ = t;
	*module_->self = &t->self;
}

// live is what every fiber does: it runs threads that have not begun, until it has to leave to one that has.
void Worker::live(void* self) {
	Worker* w = (Worker*)self;
	for (;;) {
		Thread* t = w->self_;
		w->kernel_->call(w->launch_->parameter.data());
		w->now_->live &= ~(1ull << t->self.lane);
		Thread* next = w->pick(*w->now_);
		if (next && !next->state) { // on this stack
			next->stack = t->stack;
			next->state = next->stack->top;
			w->enter(next);
			continue;
		}
		w->spare_.push_back(t->stack);
		void* here; // never gone back to
		if (next) w->enter(next);
		hipemu_switch(&here, next ? next->state : w->main_);
	}
}

// yield lets others run until this thread can go on.
void Worker::yield() {
	Thread* own = self_;
	Thread* next = pick(*now_);
	if (next == own) {
		enter(own);
		return;
	}
	if (next) {
		if (!next->state) {
			next->stack = stack();
			next->state = fresh(next->stack->top, live, this);
		}
		enter(next);
	}
	hipemu_switch(&own->state, next ? next->state : main_);
}

void Worker::barrier(void* self, int line) {
	Worker* w = (Worker*)self;
	w->self_->line = line;
	w->now_->barred |= 1ull << w->self_->self.lane;
	w->yield();
}

const Snapshot* Worker::gather(void* self, const void* given, unsigned size, int line) {
	Worker* w = (Worker*)self;
	Wave& now = *w->now_;
	Thread* t = w->self_;
	unsigned lane = t->self.lane;
	if (size == 4) memcpy(now.in + lane * SMALL, given, 4); // nearly always, and no call then
	else memcpy(size <= SMALL ? now.in + lane * SMALL : now.in + MAX_LANES * SMALL + lane * MAX_GIVEN, given, size);
	if (now.gathering == 0) now.line = line, now.size = size;
	now.mixed = now.mixed || now.line != line;
	t->line = line;
	t->given = size;
	now.gathering |= 1ull << lane;
	w->yield();
	return &now.snapshot;
}

// prepare numbers the threads of a block.
void Worker::prepare(const Launch& l) {
	count_ = l.block.x * l.block.y * l.block.z;
	waves_ = (count_ + wave_ - 1) / wave_;
	for (unsigned i = 0; i < count_; i++) {
		threads_[i].self = {{i % l.block.x, i / l.block.x % l.block.y, i / l.block.x / l.block.y}, i % wave_};
	}
	module_->block->size = l.block;
	module_->block->grid = l.grid;
	*module_->api = {this, barrier, gather, fail};
}

// block runs a block to its end.
bool Worker::block(const Launch& l, uint64_t n) {
	block_ = {unsigned(n % l.grid.x), unsigned(n / l.grid.x % l.grid.y), unsigned(n / l.grid.x / l.grid.y)};
	module_->block->block = block_;
	memset(module_->shared, GARBAGE, module_->end - module_->shared);
	for (unsigned i = 0; i < count_; i++) threads_[i].state = nullptr;
	for (unsigned i = 0; i < waves_; i++) {
		Wave& w = all_[i];
		unsigned lanes = std::min(wave_, count_ - i * wave_);
		w.threads = &threads_[i * wave_];
		w.live = w.ready = lanes == 64 ? ~0ull : (1ull << lanes) - 1;
		w.gathering = w.barred = 0;
		w.mixed = false;
	}
	do {
		for (unsigned i = 0; i < waves_; i++) {
			now_ = &all_[reverse_ ? waves_ - 1 - i : i];
			Thread* t = pick(*now_);
			if (!t) continue;
			if (!t->state) {
				t->stack = stack();
				t->state = fresh(t->stack->top, live, this);
			}
			enter(t);
			hipemu_switch(&main_, t->state);
		}
	} while (barriers());
	return true;
}

// barriers opens the barrier at which all threads wait that have not ended, and reports whether there was one.
bool Worker::barriers() {
	Thread* first = nullptr;
	for (unsigned i = 0; i < waves_; i++) {
		Wave& w = all_[i];
		for (uint64_t m = w.barred; m; m &= m - 1) {
			Thread* t = &w.threads[__builtin_ctzll(m)];
			if (!first) first = t;
			if (t->line != first->line) {
				char text[200];
				snprintf(text, sizeof text, "waits at the barrier of line %d, and thread %u,%u,%u at that of line %d", t->line, first->self.thread.x,
				         first->self.thread.y, first->self.thread.z, first->line);
				self_ = t;
				failed(text);
			}
		}
		w.ready = w.barred;
		w.barred = 0;
	}
	return first != nullptr;
}

bool Worker::run(const Launch& l, Module* m, unsigned wave, std::atomic<uint64_t>& next, std::atomic<bool>& stop) {
	module_ = m;
	launch_ = &l;
	kernel_ = &m->kernels[l.kernel];
	wave_ = wave;
	self_ = nullptr;
	if (sigsetjmp(out_, 1) != 0) { // failed was called
		spare_.clear();
		for (auto& s : stacks_) spare_.push_back(s.get());
		stop = true;
		return false;
	}
	inside_ = true;
	prepare(l);
	uint64_t blocks = uint64_t(l.grid.x) * l.grid.y * l.grid.z, n;
	while (!stop && (n = next++) < blocks) block(l, n);
	inside_ = false;
	return true;
}

} // namespace hipemu
